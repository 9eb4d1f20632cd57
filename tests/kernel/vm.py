"""The second kernel: the same judge on Debian's stock 6.1 in qemu's software emulation (no KVM needed).

The guest boots an initramfs of a static busybox, mounts this machine's root read-only over 9p with a tmpfs laid over it,
and runs the judge there; its output comes back on the serial console. Nothing is installed: the kernel package is
downloaded and unpacked in a cache directory.
"""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import subprocess
import sys
import threading

SERIES = r"^linux-image-6\.1\.0-[0-9]+-amd64-unsigned$"
# Loaded before the root is there, in this order; everything else is found by the kernel's own autoloading.
EARLY = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "netfs", "fscache", "9pnet",
         "9pnet_virtio", "9p", "overlay")
UP, END = "JUDGE-GUEST-UP", "JUDGE-EXIT:"
TRIES = 3

INIT = """#!/bin/busybox sh
export PATH=/bin
for a in $(/bin/busybox --list); do /bin/busybox ln -s /bin/busybox /bin/$a 2>/dev/null; done
echo {up}
mkdir -p /proc /sys /dev /host /over /new
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in {early}; do insmod /modules/$m.ko || echo "cannot load $m"; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,ro,cache=loose host /host
mount -t tmpfs over /over
mkdir /over/up /over/work
mount -t overlay -o lowerdir=/host,upperdir=/over/up,workdir=/over/work overlay /new
mkdir -p /new/usr/lib/modules /new/proc /new/sys /new/dev
ln -s {image}/lib/modules/{version} /new/usr/lib/modules/{version}
ln -sf {busybox} /new/usr/sbin/modprobe
umount /proc /sys
mount -t proc proc /new/proc; mount -t sysfs sys /new/sys; mount -t devtmpfs dev /new/dev
mount -t tmpfs run /new/run
cp /judge /new/run/judge
exec switch_root /new /bin/sh /run/judge
"""

RUN = """export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1 JUDGE_SLOWER=3
mkdir -p /run/netns
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/init.scope; echo $$ > /sys/fs/cgroup/init.scope/cgroup.procs
ip link set lo up
modprobe -q br_netfilter; modprobe -q nf_conntrack; modprobe -q veth; modprobe -q bridge
{command}
echo
echo "{end}$?"
sync
echo o > /proc/sysrq-trigger
sleep 10
"""


def cache() -> str:
    path = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pktdiag", "vm")
    os.makedirs(path, exist_ok=True)
    return path


def kernel_image() -> tuple[str, str]:
    """(directory of the unpacked package, kernel version); fetched on first use."""
    image = os.path.join(cache(), "image")
    if not glob.glob(f"{image}/lib/modules/*/modules.dep"):
        names = subprocess.run(["apt-cache", "search", "-n", SERIES], capture_output=True, text=True, check=True).stdout.split("\n")
        packages = [name.split(" ")[0] for name in names if name]
        if not packages:
            raise SystemExit("no Debian 6.1 kernel package is known to apt; run apt-get update on Debian 12")
        newest = max(packages, key=lambda name: int(name.split("-")[3]))
        subprocess.run(["apt-get", "download", newest], cwd=cache(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        package = glob.glob(f"{cache()}/{newest}_*.deb")[0]
        shutil.rmtree(image, ignore_errors=True)
        subprocess.run(["dpkg", "-x", package, image], check=True)
        os.unlink(package)
        version = os.path.basename(glob.glob(f"{image}/lib/modules/*")[0])
        subprocess.run(["busybox", "depmod", "-b", image, version], check=True)
    return image, os.path.basename(glob.glob(f"{image}/lib/modules/*")[0])


def initramfs(image: str, version: str, command: str) -> str:
    """Builds the initramfs that runs ``command`` and returns its path."""
    busybox = shutil.which("busybox") or "/bin/busybox"
    tree = os.path.join(cache(), f"initramfs-{os.getpid()}")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(f"{tree}/bin")
    os.makedirs(f"{tree}/modules")
    shutil.copy(busybox, f"{tree}/bin/busybox")
    for module in EARLY:
        found = glob.glob(f"{image}/lib/modules/{version}/kernel/**/{module}.ko", recursive=True)
        if found:
            shutil.copy(found[0], f"{tree}/modules/{module}.ko")
    early = " ".join(module for module in EARLY if os.path.exists(f"{tree}/modules/{module}.ko"))
    for name, text in (("init", INIT.format(early=early, image=image, version=version, busybox=busybox, up=UP)),
                       ("judge", RUN.format(command=command, end=END))):
        with open(f"{tree}/{name}", "w") as file:
            file.write(text)
        os.chmod(f"{tree}/{name}", 0o755)
    path = f"{tree}.cpio"
    with open(path, "wb") as out:
        subprocess.run("find . | busybox cpio -o -H newc 2>/dev/null", shell=True, cwd=tree, stdout=out, check=True)
    shutil.rmtree(tree)
    return path


def boot(command: str, timeout: float = 3600, echo: bool = True, unsaid: str = "") -> tuple[int, str]:
    """Runs a shell command on the second kernel; (its exit status, its output). 255: the guest never got there.

    Emulated clocks on a busy machine now and then make the kernel give up before it starts init; it is started again then.
    """
    image, version = kernel_image()
    ramdisk = initramfs(image, version, command)
    argv = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048", "-nographic", "-no-reboot",
            "-net", "none", "-kernel", f"{image}/boot/vmlinuz-{version}", "-initrd", ramdisk,
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable rcupdate.rcu_expedited=1 no_hash_pointers",
            "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"]
    try:
        for _ in range(TRIES):
            status, lines = _guest(argv, timeout, echo, unsaid)
            if status != 255 or UP in lines:
                break
    finally:
        os.unlink(ramdisk)
    return status, "\n".join(lines)


def _guest(argv: list[str], timeout: float, echo: bool, unsaid: str) -> tuple[int, list[str]]:
    guest = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert guest.stdout is not None
    lines: list[str] = []
    status = 255
    timer = threading.Timer(timeout, guest.kill)
    timer.start()
    try:
        for raw in guest.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if line.endswith(UP):  # what stands before it is the firmware's
                line = UP
            if line.startswith(END):
                status = int(line[len(END):] or 255)
                break
            lines.append(line)
            if echo and line != UP and not (unsaid and line.startswith(unsaid)):
                print(line, flush=True)
    finally:
        timer.cancel()
        guest.kill()
        guest.wait()
        guest.stdout.close()
    return status, lines


def run(arguments: list[str]) -> int:
    """scripts/judge with these arguments, over there."""
    return run_and_read(arguments)[0]


def run_and_read(arguments: list[str], unsaid: str = "") -> tuple[int, str]:
    """The same: (exit status, output). Lines that begin with ``unsaid`` are not printed."""
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
    command = (f"cd {shlex.quote(root)} && {shlex.quote(sys.executable)} -c "
               + shlex.quote("import sys; from tests.kernel.main import main; sys.exit(main())") + " --quiet "
               + " ".join(shlex.quote(argument) for argument in arguments))
    return boot(command, unsaid=unsaid)
