"""``python -m loadertask_devstack.reference``: writes every page anew."""

from __future__ import annotations

from loadertask_devstack.reference import DIRECTORY, PAGES, page
from loadertask_devstack.stack import CHECKOUT

if __name__ == "__main__":
    for name in PAGES:
        (DIRECTORY / name).write_text(page(name))
        print(f"written: {(DIRECTORY / name).relative_to(CHECKOUT)}")
