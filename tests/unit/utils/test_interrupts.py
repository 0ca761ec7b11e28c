"""Termination signals: deferral during a block, and no handling after the last message of a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from sslwear.utils import interrupts
from sslwear.utils.interrupts import signals_deferred
from tests.commands import heed_signals


@pytest.fixture(autouse=True)
def _interrupting() -> None:
    for number in interrupts.TERMINATION_SIGNALS:
        signal.signal(number, interrupts.raise_keyboard_interrupt)


@pytest.mark.parametrize("number", interrupts.TERMINATION_SIGNALS)
def test_a_signal_is_deferred_until_the_end_of_the_block(number: int) -> None:
    done: list[str] = []

    def block() -> None:
        with signals_deferred():
            os.kill(os.getpid(), number)
            done.append("block")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["block"]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def test_a_signal_is_not_lost_when_the_block_fails() -> None:
    def block() -> None:
        with signals_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError("something else")

    with pytest.raises(KeyboardInterrupt):
        block()


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals_deferred():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.SIGHUP not in interrupts.unignored_signals()


def test_without_a_signal_nothing_happens_and_errors_pass() -> None:
    with signals_deferred():
        pass
    with pytest.raises(ValueError, match="as it is"), signals_deferred():
        raise ValueError("as it is")
    assert signal.getsignal(signal.SIGINT) is interrupts.raise_keyboard_interrupt


@pytest.mark.parametrize("ending", ["raise KeyboardInterrupt", "raise SslwearError('wrong')", "pass"])
def test_ctrl_c_after_the_last_message_prints_nothing(ending: str) -> None:
    code = f"""
        import atexit, os, signal, typer
        from sslwear.errors import SslwearError
        from sslwear.cli.terminal import user_errors
        def again():
            os.kill(os.getpid(), signal.SIGINT)
            print("exit handler done")
        atexit.register(again)
        try:
            with user_errors("all is kept"):
                {ending}
        except typer.Exit as error:
            again()
            raise SystemExit(error.exit_code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, preexec_fn=heed_signals
    )
    expected = {
        "raise KeyboardInterrupt": (130, "sslwear: interrupted; all is kept\n"),
        "raise SslwearError('wrong')": (1, "sslwear: wrong\n"),
        "pass": (0, ""),
    }
    assert (done.returncode, done.stderr) == expected[ending]
    assert "exit handler done" in done.stdout


def test_an_interruption_while_an_object_is_deleted_is_not_lost() -> None:
    code = """
        import os, signal, time, typer
        from sslwear.cli.terminal import user_errors
        class Deleted:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0)
        try:
            with user_errors("all is kept"):
                one = Deleted()
                del one
                time.sleep(30)
                print("lost")
        except typer.Exit as error:
            raise SystemExit(error.exit_code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, preexec_fn=heed_signals
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "sslwear: interrupted; all is kept\n")
