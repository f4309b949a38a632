"""What agentstream costs, beside what others cost. ``python -m bench`` prints one table.

| module        | measures                                                                   |
|---------------|----------------------------------------------------------------------------|
| `events`      | processor time an event: floor, agentstream, the openai client, openai-agents |
| `many`        | 200 runs at once: time, processor, lag of the event loop, memory           |
| `first`       | from the first byte to the first event                                     |
| `shapes`      | what grows: turns, tools, items, an argument string, one huge event        |
| `imports`     | ``import agentstream`` beside other packages                               |
| `view`        | the live view in a real kernel; `page`: in a real JupyterLab               |
| `wire`        | the decoder alone                                                          |
| `trace`       | the fold alone                                                             |
| `markdown`    | incremental Markdown alone                                                 |

All numbers are ratios within one process or one sitting, medians of interleaved rounds: the machine
may be busy, but it is busy for all.
"""
