//go:build linux

package load

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// CPU is the processor time that a process has used, all its threads and the system's work for it. It is the time of /proc/PID/stat, which
// counts in hundredths of a second, read from the process's own clock.
func CPU(pid int) (time.Duration, error) {
	clock := uintptr(^pid<<3 | 2) // clock_getcpuclockid(3)
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0, fmt.Errorf("the processor time of process %d: %w", pid, errno)
	}
	return time.Duration(t.Nano()), nil
}

// Written is how many bytes a process has written, and in how many system calls: to sockets, and the little that it writes elsewhere.
func Written(pid int) (bytes, calls int64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, 0, err
	}
	var read, reads int64
	if _, err := fmt.Sscanf(string(data), "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\n", &read, &bytes, &reads, &calls); err != nil {
		return 0, 0, fmt.Errorf("/proc/%d/io holds %q: %w", pid, data, err)
	}
	return bytes, calls, nil
}

// Resident is how many bytes of memory a process holds.
func Resident(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	words := bytes.Fields(data)
	if len(words) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm holds %q", pid, data)
	}
	pages, err := strconv.ParseInt(string(words[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}
