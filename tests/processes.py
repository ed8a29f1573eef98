"""Starts Python processes without their imports: they fork off a server that has Keras already.

`run` and `start` stand for `subprocess.run` and `subprocess.Popen` of `sys.executable`. A new
process imports Keras, TensorFlow or JAX, and the package, which takes seconds. A server for each
backend imports them once. It computes nothing, so its processes start as new ones do.

TensorFlow and JAX survive a fork on Linux only. On other systems each process is a new one.
"""

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import types
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Options of JAX' compiler that save half of its time; what it compiles is slower.
COMPILE_FAST = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
WITH_JAX = {
    **os.environ,
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": COMPILE_FAST,
}
_MODULES = ("keras", "tensorflow", "alexnet_keras.training.train")
# The libraries read these once, at their import in the server, which has the environment of whoever
# starts it first. With fixed values, no process depends on which test came first: JAX takes no GPU,
# which a fork would break, TensorFlow's log stays out of the compared streams, and its kernels are
# those that the package chooses.
_AT_IMPORT = {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
_BYTES = 2**17  # of a request, at most
_LINES = 20  # of stderr in an error
_PR_SET_CHILD_SUBREAPER = 36  # of prctl(2)


def run(arguments, **options):
    """Runs Python to its end; returns a `subprocess.CompletedProcess` with stdout and stderr.

    Args:
        arguments, **options: as for `start`.
    """
    with start(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        try:
            out, err = process.communicate()
        except BaseException:  # as Ctrl-C
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def start(arguments, **options):
    """Starts Python and returns a `subprocess.Popen`.

    Args:
        arguments: Python's arguments: `"-c"` or `"-m"` and what follows, or a script.
        **options: options of `subprocess.Popen`: `env`, of which KERAS_BACKEND chooses the server,
            `cwd`, the three streams, `start_new_session`. Pipes carry text.
    """
    process = _Forked if sys.platform == "linux" else subprocess.Popen
    return process([sys.executable, *map(str, arguments)], text=True, **options)


class _Forked(subprocess.Popen):
    """A `Popen` for a process of the server."""

    def __init__(self, command, start_new_session=False, **options):
        self._has_own_session = start_new_session
        super().__init__(command, **options)

    # `Popen` passes the leading arguments by position, in this order.
    def _execute_child(  # noqa: PLR0913  the arguments of Popen
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo,
        creationflags, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *others,
    ):  # fmt: skip
        env = dict(os.environ if env is None else env)
        request = {
            "arguments": args[1:],
            "env": env,
            "cwd": os.fspath(cwd or os.getcwd()),
            "has_own_session": self._has_own_session,
        }
        given = (p2cread, c2pwrite, errwrite)
        streams = [own if stream == -1 else stream for own, stream in enumerate(given)]
        server = _server(env.get("KERAS_BACKEND", "tensorflow"))
        self.pid = server.fork(request, streams)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


class Server:
    """The server of a backend.

    Args:
        backend: backend of Keras.
        arguments: Python's arguments before the number of the server's socket.
    """

    def __init__(self, backend, arguments=("-m", "tests.processes")):
        # Processes whose parent has ended then belong to this process, which can wait for them.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  `close` closes it
        self._socket, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            self._process = subprocess.Popen(
                [sys.executable, *arguments, str(far.fileno())],
                cwd=ROOT,
                env={**os.environ, **_AT_IMPORT, "KERAS_BACKEND": backend},
                stderr=self._errors,
                pass_fds=[far.fileno()],
            )

    def fork(self, request, streams):
        """Starts a process; returns its number.

        Args:
            request: dict for `_serve`.
            streams: file descriptors of stdin, stdout and stderr.

        Raises:
            RuntimeError: if the server has ended; the message has its exit status and last lines.
        """
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], streams)
            answer = self._socket.recv(20)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if answer:
            return int(answer)
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()[-_LINES:]
        last = "\n".join(lines) or "nothing"
        raise RuntimeError(
            f"The server of processes has ended with exit status {status}. Its stderr ends with:\n"
            + last
        )

    def close(self):
        """Ends the server."""
        self._socket.close()
        self._process.wait()
        self._errors.close()


@functools.cache
def _server(backend):
    """Starts the server of a backend at the first call."""
    server = Server(backend)
    atexit.register(server.close)
    return server


def start_garbage_collection():
    """Starts Python's garbage collection after the imports, and lets it run less often.

    Objects of the imports are left out: no process searches them, nor copies them after a fork.
    Tracing networks makes many objects. With Python's default, a tenth of the tests' time went to
    the search for unused ones.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def _serve(connection):
    """Forks a process for each request; returns the request in this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the tests
    gc.disable()
    for name in _MODULES:
        importlib.import_module(name)
    start_garbage_collection()
    while True:
        message, streams, _, _ = socket.recv_fds(connection, _BYTES, 3)
        if not message:
            os._exit(0)
        request = json.loads(message)
        near, far = socket.socketpair()
        between = os.fork()
        if not between:
            break
        os.waitpid(between, 0)
        connection.send(near.recv(20))
        for descriptor in (near.detach(), far.detach(), *streams):
            os.close(descriptor)
    if os.fork():  # ends, so that the process of the request belongs to the tests
        os._exit(0)
    if request.pop("has_own_session"):
        os.setsid()
    far.send(str(os.getpid()).encode())
    for own in (connection, near, far):
        own.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return request


def _execute(arguments, env, cwd):
    """Continues as Python does with these arguments."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:1] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    first, *others = arguments
    if first == "-c":
        code, *others = others
        sys.argv = ["-c", *others]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), vars(main))
    elif first == "-m":
        sys.argv = others
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _execute(**_serve(socket.socket(fileno=int(sys.argv[1]))))
