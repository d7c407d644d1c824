"""Learning of a process's death from the kernel, by pidfd, with no polling and no parenthood."""

import asyncio
import os


def watch_process(pid: int) -> asyncio.Future[None]:
    """A future that is done once the process ``pid`` is dead; at once when it is dead already."""
    loop = asyncio.get_running_loop()
    death: asyncio.Future[None] = loop.create_future()
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        death.set_result(None)
        return death

    def end() -> None:
        loop.remove_reader(handle)
        os.close(handle)
        if not death.done():
            death.set_result(None)

    def give_up(future: asyncio.Future[None]) -> None:
        if future.cancelled():
            loop.remove_reader(handle)
            os.close(handle)

    loop.add_reader(handle, end)
    death.add_done_callback(give_up)
    return death
