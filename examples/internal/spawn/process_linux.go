package spawn

import "syscall"

// dieWithParent ends the process, at the latest, with the thread that started it.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
