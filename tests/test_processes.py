"""The processes of `tests.processes` behave as new processes of Python do."""

import os
import signal
import subprocess
import sys

import pytest

from tests import processes


@pytest.mark.parametrize(
    ("code", "status", "out", "err"),
    [
        ("import sys; print(sys.argv, __name__)", 0, "['-c', 'a'] __main__\n", ""),
        ("import sys; sys.exit('wrong')", 1, "", "wrong\n"),
        ("import atexit; atexit.register(print, 'end'); raise SystemExit(3)", 3, "end\n", ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "", ""),
    ],
)
def test_streams_and_status_are_those_of_a_new_process(code, status, out, err):
    for run in (processes.run, in_a_new_process):
        result = run(["-c", code, "a"])
        assert (result.returncode, result.stdout, result.stderr) == (status, out, err)


def in_a_new_process(arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


def test_keras_is_there_with_the_backend():
    code = "import sys; print('keras' in sys.modules, sys.modules['keras'].backend.backend())"
    assert processes.run(["-c", code]).stdout == "True tensorflow\n"


def test_an_error_is_printed():
    result = processes.run(["-c", "1 / 0"])
    assert result.returncode == 1
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_folder_environment_and_modules(tmp_path):
    (tmp_path / "script.py").write_text("import os, sys; print(os.environ['X'], os.getcwd())")
    env = {**os.environ, "X": "1"}
    for arguments in (["script.py"], ["-m", "script"]):
        assert processes.run(arguments, cwd=tmp_path, env=env).stdout == f"1 {tmp_path}\n"


@pytest.mark.parametrize("own", [False, True])
def test_signals_pipes_and_sessions(own):
    code = "try:\n    print(input(), flush=True)\n    input()\n"
    code += "except KeyboardInterrupt:\n    print('end')"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with processes.start(["-c", code], start_new_session=own, **pipes) as process:
        assert (os.getsid(process.pid) == process.pid) == own
        process.stdin.write("text\n")
        process.stdin.flush()
        assert process.stdout.readline() == "text\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "end\n"
    assert process.returncode == 0


def test_a_server_that_ends_says_why():
    server = processes.Server("tensorflow", ["-c", "import sys; sys.exit('no Keras here')"])
    with pytest.raises(RuntimeError, match=r"exit status 1\. Its stderr ends with:\nno Keras here"):
        server.fork({"arguments": []}, [0, 1, 2])
    server.close()
