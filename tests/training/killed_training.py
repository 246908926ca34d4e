"""Runs ``groundglass ARGUMENTS`` and kills itself at a moment: ``python FILE MOMENT ARGUMENTS``.

Moments: ``step:N`` and ``validation:N`` in that step or validation of this process,
``checkpoint:N`` when half of that checkpoint is written.
"""

import io
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import torch

from groundglass.cli import main
from groundglass.training.module import SystemModule


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(number: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which on its call of that number kills the process when it is done."""
    calls = count()

    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if next(calls) == number:
            kill()
        return result

    return call


def save_half_at(number: int) -> Callable[..., None]:
    """``torch.save``, which on its call of that number writes half of the file and kills."""
    calls, save = count(), torch.save

    def call(content: Any, file: Any) -> None:
        if next(calls) != number:
            save(content, file)
            return
        whole = io.BytesIO()
        save(content, whole)
        file.write(whole.getvalue()[: whole.tell() // 2])
        file.flush()
        kill()

    return call


if __name__ == "__main__":
    moment, number = sys.argv[1].split(":")
    if moment == "step":
        SystemModule.training_step = killed_at(int(number), SystemModule.training_step)
    elif moment == "validation":
        SystemModule.validation_step = killed_at(int(number), SystemModule.validation_step)
    else:
        torch.save = save_half_at(int(number))
    sys.argv = ["groundglass", *sys.argv[2:]]
    main()
