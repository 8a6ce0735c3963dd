"""What a process may still do once it is somebody else's."""

import ctypes
import errno
import os
import platform
import re
import signal

import pytest

from backend import Backend
from harness import SANITIZED, Gateway
from wire import eventually

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="there is no sandbox in a build with sanitizers")


def status(pid):
    """The numbers of /proc/PID/status."""
    with open("/proc/%d/status" % pid) as file:
        return {name: int(value) for name, value in
                re.findall(r"^(\w+):\s+(\d+)$", file.read(), re.M)}


OUTSIDE = status(os.getpid())  # a container may have a filter already


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha") as backend:
        yield backend


@pytest.fixture
def gateway(alpha):
    with Gateway(alpha) as g:
        if g.log(event="no sandbox"):
            pytest.skip("this system allows no filters")
        yield g


# -- from outside


def test_every_process_is_inside(gateway):
    master = status(gateway.pid)
    assert (master["Seccomp"], master["NoNewPrivs"]) == (2, 1)
    children = [*gateway.workers(), gateway.keeper()]
    assert len(children) == 3
    for pid in children:
        child = status(pid)
        assert (child["Seccomp"], child["NoNewPrivs"]) == (2, 1)
        if "Seccomp_filters" in child:
            assert child["Seccomp_filters"] == master["Seccomp_filters"] + 1


def test_switched_off(alpha):
    with Gateway(alpha, sandbox=False) as gateway:
        for pid in [gateway.pid, *gateway.children()]:
            assert status(pid)["Seccomp"] == OUTSIDE["Seccomp"]
        assert gateway.client().call("alpha_echo", {"nonce": "1"}) == "1"


def test_waits_for_a_restart(gateway):
    since = len(gateway.lines)
    gateway.reload(sandbox=False)
    assert gateway.log(since, level="warning"), gateway.log_tail()
    assert status(gateway.workers()[0])["Seccomp"] == 2


# -- from inside


class Registers(ctypes.Structure):
    """struct user_regs_struct of x86-64."""
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax "
        "rip cs eflags rsp ss fs_base gs_base ds es fs gs").split()]


class Intruder:
    """Code of ours in a process of the gateway.

    It makes system calls there, one at a time, as somebody would who had found
    a hole; then the process goes on as if nothing had happened.
    """

    STEP, GET, SET, ATTACH, DETACH = 9, 12, 13, 16, 17
    TEXT_AT = 4096  # below the stack pointer, where nobody looks

    def __init__(self, pid):
        self.pid = pid
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long,
                                     ctypes.c_void_p, ctypes.c_void_p]
        self.libc.ptrace.restype = ctypes.c_long

    def ptrace(self, request, data=None):
        if self.libc.ptrace(request, self.pid, None, data) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def __enter__(self):
        try:
            self.ptrace(self.ATTACH)
        except PermissionError:
            pytest.skip("this user may not trace processes")
        os.waitpid(self.pid, 0x40000000)  # __WALL
        self.memory = open("/proc/%d/mem" % self.pid, "r+b", buffering=0)
        self.before = Registers()
        self.ptrace(self.GET, ctypes.addressof(self.before))
        self.code = self._find_instruction()
        return self

    def __exit__(self, *_):
        if self.memory:
            self.ptrace(self.SET, ctypes.addressof(self.before))
            self._leave()

    def _leave(self):
        self.memory.close()
        self.memory = None
        self.ptrace(self.DETACH)

    def _find_instruction(self):
        """Where there is a "syscall"."""
        with open("/proc/%d/maps" % self.pid) as file:
            for line in file:
                if " r-xp " not in line or "libc.so" not in line:
                    continue
                low, high = (int(n, 16) for n in
                             line.split()[0].split("-"))
                self.memory.seek(low)
                return low + self.memory.read(high - low).index(b"\x0f\x05")
        raise AssertionError("no C library")

    def _prepare(self, number, *args):
        """Texts among the arguments become addresses of them."""
        now = Registers.from_buffer_copy(self.before)
        at = self.before.rsp - self.TEXT_AT
        for name, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), args):
            if isinstance(value, bytes):
                self.memory.seek(at)
                self.memory.write(value + b"\0")
                at, value = at - 256, at
            setattr(now, name, value & (2 ** 64 - 1))
        now.rax, now.rip = number, self.code
        now.orig_rax = 2 ** 64 - 1  # no system call to be taken up again
        self.ptrace(self.SET, ctypes.addressof(now))

    def call(self, number, *args):
        """The result, which is a negative errno when it failed."""
        self._prepare(number, *args)
        self.ptrace(self.STEP)
        _, stop = os.waitpid(self.pid, 0x40000000)
        assert os.WIFSTOPPED(stop) and os.WSTOPSIG(stop) == signal.SIGTRAP
        after = Registers()
        self.ptrace(self.GET, ctypes.addressof(after))
        return ctypes.c_int64(after.rax).value

    def call_and_leave(self, number, *args):
        self._prepare(number, *args)
        self._leave()


OPENAT, SOCKET, GETPID, EXECVE, FORK, KILL, UNLINK = 257, 41, 39, 59, 57, 62, 87
MMAP, MEMFD_CREATE = 9, 319
HERE = -100  # AT_FDCWD

intrusion = pytest.mark.skipif(platform.machine() != "x86_64",
                               reason="knows the registers of x86-64 only")
# landlock_create_ruleset(2), asked for its version
landlock = pytest.mark.skipif(
    ctypes.CDLL(None).syscall(444, None, 0, 1) < 1,
    reason="this kernel has no Landlock")


@intrusion
def test_what_a_worker_may_not(gateway, tmp_path):
    """And it goes on afterwards."""
    worker = gateway.workers()[0]
    secret = tmp_path / "secret"
    secret.write_text("secret")
    at = str(secret).encode()
    with Intruder(worker) as intruder:
        assert intruder.call(GETPID) == worker
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT):
            assert intruder.call(OPENAT, HERE, at, flags,
                                 0o600) == -errno.EACCES
        for number, *args in ((UNLINK, at), (SOCKET, 1, 1, 0),
                              (SOCKET, 17, 3, 0), (MEMFD_CREATE, b"x", 0)):
            assert intruder.call(number, *args) == -errno.ENOSYS
    for nonce in "0123456789":
        assert gateway.client().call("alpha_echo", {"nonce": nonce}) == nonce
    assert worker in gateway.workers() and secret.exists()


@intrusion
@landlock
def test_what_a_worker_may_not_read(gateway, tmp_path):
    """Started by root, and root still."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with Intruder(gateway.workers()[0]) as intruder:
        for path in (b"/etc/shadow", b"/etc/passwd", b"/proc/self/maps",
                     str(secret).encode(), str(gateway.file).encode(),
                     b"/proc/%d/mem" % gateway.pid):
            assert intruder.call(OPENAT, HERE, path, os.O_RDONLY) in (
                -errno.EACCES, -errno.EPERM), path


@intrusion
@landlock
def test_what_the_keeper_may_not(gateway, tmp_path):
    with Intruder(gateway.keeper()) as intruder:
        made = str(tmp_path / "made").encode()
        assert intruder.call(OPENAT, HERE, made, os.O_WRONLY | os.O_CREAT,
                             0o600) == -errno.EACCES
        assert intruder.call(OPENAT, HERE, str(gateway.file).encode(),
                             os.O_RDONLY) == -errno.EACCES
        assert intruder.call(OPENAT, HERE, b"/etc/hosts", os.O_RDONLY) > 0
    assert not (tmp_path / "made").exists()


@intrusion
@pytest.mark.parametrize("role", ["worker", "keeper"])
@pytest.mark.parametrize("number,args", [
    (EXECVE, (b"/bin/true", 0, 0)), (FORK, ()), (KILL, (1, 0)),
    (MMAP, (0, 4096, 7, 0x22, 2 ** 64 - 1, 0))],
    ids=["execve", "fork", "kill", "code"])
def test_an_attack_is_the_end(gateway, role, number, args):
    """Its obituary says which call it was, and another one takes over."""
    pid = gateway.workers()[0] if role == "worker" else gateway.keeper()
    with Intruder(pid) as intruder:
        intruder.call_and_leave(number, *args)
    line = gateway.wait_log(event=role + " died", child=pid)
    assert line["cause"] == "SIGSYS"
    assert line["last_words"].endswith("its filter forbids: %d" % number)
    eventually(lambda: len(gateway.workers()) == 2 and gateway.keeper()
               not in (None, pid), "nobody takes over")
    assert gateway.client().call("alpha_echo", {"nonce": "2"}) == "2"


@intrusion
def test_the_master_starts_no_program(alpha):
    gateway = Gateway(alpha).start()
    try:
        with Intruder(gateway.pid) as intruder:
            intruder.call_and_leave(EXECVE, b"/bin/true", 0, 0)
        gateway.join(status=-signal.SIGSYS)
    finally:
        gateway.stop(check=False)
        gateway.free()
