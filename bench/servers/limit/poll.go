package main

import (
	"bytes"
	"log"
	"net"
	"net/url"
)

// polls serves long-polls: a goroutine reads the requests of each connection, a shard answers.
func polls(l net.Listener, shards []*shard) {
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go requests(c, shards)
	}
}

// requests reads requests without a body: only the first line says anything. There is one at a time, so what is read ends with it.
func requests(c net.Conn, shards []*shard) {
	buffer := make([]byte, 1024)
	for filled := 0; ; {
		n, err := c.Read(buffer[filled:])
		if err != nil || filled+n == len(buffer) {
			_ = c.Close()
			return
		}
		filled += n
		if !bytes.HasSuffix(buffer[:filled], []byte("\r\n\r\n")) {
			continue
		}
		words := bytes.Fields(buffer[:filled])
		_, query, _ := bytes.Cut(words[1], []byte("?"))
		values, err := url.ParseQuery(string(query))
		if err != nil {
			log.Fatal(err)
		}
		key, last := visit(values.Get)
		shards[key%len(shards)].in <- input{conn: c, key: key, last: last}
		filled = 0
	}
}
