package checker

import (
	"os"
	"runtime"
	"time"
)

// openFiles counts the process's open files; negative where nobody can tell.
func openFiles() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(names)
}

// fileNames says which they are.
func fileNames() (names []string) {
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		name, _ := os.Readlink("/proc/self/fd/" + f.Name())
		names = append(names, f.Name()+" "+name)
	}
	return names
}

// Resources are what a process holds.
type Resources struct {
	Goroutines, Files int
	Heap              uint64
}

// Held returns what the process holds now.
func Held() Resources {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Resources{runtime.NumGoroutine(), openFiles(), m.HeapAlloc}
}

// Warm has the runtime open what it keeps open for connections.
func Warm() { listen().cut() }

// slack is what the heap may grow by: what the runtime and the standard library keep for the next time. A world of some seconds takes three
// times as much.
const slack = 4 << 20

// Settled returns what the process holds once it holds no more than before, or when that has taken too long: the goroutines of
// net/http end a moment after their connections.
func Settled(before Resources) Resources {
	for end := time.Now().Add(20 * time.Second); ; {
		now := Held()
		if now.Goroutines <= before.Goroutines && now.Files <= before.Files && now.Heap <= before.Heap+slack || time.Now().After(end) {
			return now
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Leaks compares what the process held before the first round with what it holds after the last one, of which nothing may be left.
func Leaks(tally *Tally, before, last Resources) {
	if last.Goroutines > before.Goroutines {
		stacks := make([]byte, 1<<16)
		tally.Find(Leak, "%d goroutines before, %d after: %s", before.Goroutines, last.Goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	if last.Files > before.Files {
		tally.Find(Leak, "%d open files before, %d after: %v", before.Files, last.Files, fileNames())
	}
	if last.Heap > before.Heap+slack {
		tally.Find(Leak, "%d bytes of heap before, %d after", before.Heap, last.Heap)
	}
}
