package outlet

import (
	"os"
	"sync"
	"syscall"
)

// place says where a connection is watched: in a slot, numbered from one, whose count tells it from those who had the slot before.
type place struct{ slot, count int32 }

// tower is the epoll of a process, which exists while something is watched. Its goroutine waits for it like for a socket, so that no thread
// does.
type tower struct {
	mu    sync.Mutex
	file  *os.File // nil when there is none
	fd    int
	slots []held
	free  []int32
}

type held struct {
	outlet *Outlet // it must stay reachable: nothing else has it while nothing happens
	count  int32
}

var lookout tower

// watch has Arrived called once, when there is something to read. It reports false when the system does not do that.
func (o *Outlet) watch() bool {
	t := &lookout
	t.mu.Lock()
	defer t.mu.Unlock()
	o.mu.Lock()
	closed := o.closed
	o.mu.Unlock()
	if closed { // forsake has been here, or waits for the lock
		return true
	}
	op := syscall.EPOLL_CTL_MOD
	if o.place.slot == 0 {
		if !t.admit(o) {
			return false
		}
		op = syscall.EPOLL_CTL_ADD
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: o.place.slot, Pad: o.place.count}
	var err error
	failed := o.raw.Control(func(fd uintptr) { err = syscall.EpollCtl(t.fd, op, int(fd), &event) })
	if failed == nil && err == nil {
		return true
	}
	t.dismiss(o)
	return false
}

// admit gives an outlet a slot. The lock is held.
func (t *tower) admit(o *Outlet) bool {
	if t.file == nil && t.build() != nil {
		return false
	}
	n := len(t.free)
	if n == 0 {
		t.slots = append(t.slots, held{})
		t.free = append(t.free, int32(len(t.slots)))
		n++
	}
	slot := t.free[n-1]
	t.free = t.free[:n-1]
	h := &t.slots[slot-1]
	h.outlet = o
	o.place = place{slot, h.count}
	return true
}

// dismiss takes the slot back. The lock is held.
func (t *tower) dismiss(o *Outlet) {
	slot := o.place.slot
	if slot == 0 {
		return
	}
	h := &t.slots[slot-1]
	h.outlet = nil
	h.count++
	o.place.slot = 0
	if t.free = append(t.free, slot); len(t.free) == len(t.slots) {
		go t.file.Close() // it waits for the goroutine, which may wait for the lock
		t.file, t.slots, t.free = nil, nil, nil
	}
}

// forsake ends watching.
func (o *Outlet) forsake() {
	lookout.mu.Lock()
	defer lookout.mu.Unlock()
	lookout.dismiss(o)
}

// build makes the epoll, and has a goroutine wait for it.
func (t *tower) build() error {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // that makes the file one that can be waited for
		syscall.Close(fd)
		return err
	}
	t.file, t.fd = os.NewFile(uintptr(fd), "epoll"), fd
	raw, err := t.file.SyscallConn()
	if err != nil {
		t.file.Close()
		t.file = nil
		return err
	}
	go t.keep(t.file, raw)
	return nil
}

// keep wakes readers until the file is closed.
func (t *tower) keep(file *os.File, raw syscall.RawConn) {
	var events [128]syscall.EpollEvent
	var woken [128]*Outlet
	_ = raw.Read(func(fd uintptr) (closed bool) {
		for {
			n, err := syscall.EpollWait(int(fd), events[:], 0)
			if err == syscall.EINTR {
				continue
			}
			if n <= 0 {
				return false // wait
			}
			for _, o := range t.named(file, events[:n], woken[:0]) {
				if o.enter() {
					go o.arrived()
				}
			}
			clear(woken[:])
		}
	})
}

// named returns whose events they are. Who is closed meanwhile is left out.
func (t *tower) named(file *os.File, events []syscall.EpollEvent, woken []*Outlet) []*Outlet {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != file {
		return nil
	}
	for _, e := range events {
		if h := t.slots[e.Fd-1]; h.count == e.Pad && h.outlet != nil {
			woken = append(woken, h.outlet)
		}
	}
	return woken
}
