package websocket

import (
	"net"
	"testing"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/script"
)

// BenchmarkOffer is a delivery to one of many who have the same to say, against the same bytes written bare.
func BenchmarkOffer(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer near.Close()
	go func() {
		for p := make([]byte, 1<<20); err == nil; _, err = far.Read(p) {
		}
	}()
	c, s := &conn{}, &parked{offer: make(chan transport.Parked, 1)}
	c.out.Open(near, nil, c, c.form(), s, time.Minute, nil)
	c.out.Drain()
	p := <-s.offer
	frames := []*transport.Frame{script.Frame("change", "", string(make([]byte, 128)))}
	b.Run("outlet", func(b *testing.B) {
		b.ReportAllocs()
		batch := &transport.Batch{Frames: frames}
		for b.Loop() {
			if !p.Offer(batch) {
				p = <-s.offer
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		data := c.Append(nil, frames)
		for b.Loop() {
			near.Write(data)
		}
	})
}

// parked is a session that is always parked.
type parked struct {
	script.Session
	offer chan transport.Parked
}

func (s *parked) Park(p transport.Parked) bool {
	s.offer <- p
	return true
}
