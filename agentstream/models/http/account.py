"""`Account`: where requests go, and as whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..._utils.secrets import without_credentials


@dataclass(frozen=True)
class Account:
    """Where requests go, and as whom; equal accounts can share a client."""

    key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    organization: str | None = None
    project: str | None = None

    def __repr__(self) -> str:
        where = None if self.base_url is None else without_credentials(self.base_url)
        return f"Account(base_url={where!r}, organization={self.organization!r})"
