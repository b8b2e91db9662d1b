// Package buffer lends the memory in which several frames become one write, so that a stream that is idle holds none.
package buffer

import (
	"bytes"
	"sync"
)

// Size is about how much is joined into one write.
const Size = 32 << 10

var pool = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Get returns an empty buffer.
func Get() *bytes.Buffer { return pool.Get().(*bytes.Buffer) }

// Put takes a buffer back. One that a single large frame made grow is left to the collector.
func Put(b *bytes.Buffer) {
	if b.Cap() > 2*Size {
		return
	}
	b.Reset()
	pool.Put(b)
}
