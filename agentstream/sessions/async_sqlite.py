"""The SDK's name for an SQLite session whose `close` is awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .sqlite import SQLiteSession

if TYPE_CHECKING:
    from typing import Any


class AsyncSQLiteSession(SQLiteSession):
    """`SQLiteSession`, which waits for its file in a thread anyway; `close` is awaited here.

    It needs no package of its own; parameters and tables are those of `SQLiteSession`.

    Examples
    --------
    >>> async def main():
    ...     session = AsyncSQLiteSession("lisbon")
    ...     await session.add_items([{"role": "user", "content": "Hello"}])
    ...     items = await session.get_items()
    ...     await session.close()
    ...     return len(items)
    >>> asyncio.run(main())
    1
    """

    async def close(self) -> None:  # type: ignore[override]
        """Finish what is under way and close the file; a second call does nothing."""
        close: Any = super().close
        await asyncio.to_thread(close)
