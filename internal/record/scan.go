package record

import "strconv"

// scan reads an entry that is in the very form in which Encode writes it, which every entry of a log is that this version wrote: without
// a space, no member twice, no escape in what is no value of the application's. It reports false for every other one, good or bad.
//
// What the application's values are stands in the entry as it does in the data: it is not copied, so that an entry that is kept is
// held once.
func scan(data []byte) (e Entry, ok bool) {
	s := scanner{data: data}
	s.entry(&e)
	return e, !s.failed && s.at == len(data)
}

// scanner reads on from a place. Once it failed, what it returns is of no use.
type scanner struct {
	data   []byte
	at     int
	failed bool
	names  []string // of the fields of the object before, for the next has the same ones
}

// maxDepth bounds how deep a value is looked into here.
const maxDepth = 64

func (s *scanner) fail() { s.failed, s.at = true, len(s.data) }

func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

// take goes past a byte that must come.
func (s *scanner) take(c byte) {
	if s.peek() != c {
		s.fail()
		return
	}
	s.at++
}

// more reports whether another element comes, in an object or array that ends with a byte, and goes past what stands before it.
func (s *scanner) more(n int, end byte) bool {
	if s.failed {
		return false
	}
	if s.peek() == end {
		s.at++
		return false
	}
	if n > 0 {
		s.take(',')
	}
	return !s.failed
}

// plain returns the bytes of a string without escapes.
func (s *scanner) plain() []byte {
	s.take('"')
	from := s.at
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return s.data[from : s.at-1]
		case c == '\\' || c < ' ':
			s.fail()
			return nil
		}
	}
	s.fail()
	return nil
}

func (s *scanner) text() string { return string(s.plain()) }

// member returns the name of a member, and goes past what stands before its value.
func (s *scanner) member() []byte {
	name := s.plain()
	s.take(':')
	return name
}

func (s *scanner) integer() int64 {
	from := s.at
	s.number()
	n, err := strconv.ParseInt(string(s.data[from:s.at]), 10, 64)
	if err != nil {
		s.fail()
	}
	return n
}

// raw returns a value as it stands.
func (s *scanner) raw() []byte {
	from := s.at
	s.value(0)
	if s.failed {
		return nil
	}
	return s.data[from:s.at:s.at]
}

func (s *scanner) texts() []string {
	list := []string{}
	s.take('[')
	for s.more(len(list), ']') {
		list = append(list, s.text())
	}
	return list
}

func (s *scanner) entry(e *Entry) {
	var seen once
	s.take('{')
	for n := 0; s.more(n, '}'); n++ {
		switch name := s.member(); string(name) {
		case "v":
			e.Format = int(s.integer())
			seen.is(s, 0)
		case "id":
			e.ID = s.text()
			seen.is(s, 1)
		case "changes":
			e.Changes = s.changes()
			seen.is(s, 2)
		case "messages":
			e.Messages = s.messages()
			seen.is(s, 3)
		case "recheck":
			e.Recheck = s.texts()
			seen.is(s, 4)
		case "disconnect":
			e.Disconnect = s.texts()
			seen.is(s, 5)
		case "mutation":
			e.Mutation = s.text()
			seen.is(s, 6)
		case "by":
			e.By = s.text()
			seen.is(s, 7)
		case "sent":
			e.Sent = s.integer()
			seen.is(s, 8)
		default:
			s.fail()
		}
	}
}

// once holds which members an object had.
type once uint16

// is notes a member, which must not come again.
func (o *once) is(s *scanner, member int) {
	if *o&(1<<member) != 0 {
		s.fail()
	}
	*o |= 1 << member
}

func (s *scanner) changes() []Change {
	list := make([]Change, 0, 1)
	s.take('[')
	for s.more(len(list), ']') {
		list = append(list, Change{})
		s.change(&list[len(list)-1])
	}
	return list
}

func (s *scanner) change(c *Change) {
	var seen once
	s.take('{')
	for n := 0; s.more(n, '}'); n++ {
		switch name := s.member(); string(name) {
		case "router":
			c.Router = s.text()
			seen.is(s, 0)
		case "key":
			c.Key = s.text()
			seen.is(s, 1)
		case "op":
			c.Op = s.op()
			seen.is(s, 2)
		case "version":
			version := s.integer()
			c.Version = &version
			seen.is(s, 3)
		case "now":
			c.Now = s.fields()
			seen.is(s, 4)
		case "was":
			c.Was = s.fields()
			seen.is(s, 5)
		case "changed":
			c.Changed = s.texts()
			seen.is(s, 6)
		case "mutation":
			c.Mutation = s.text()
			seen.is(s, 7)
		case "by":
			c.By = s.raw()
			seen.is(s, 8)
		case "where":
			c.Where = s.raw()
			seen.is(s, 9)
		default:
			s.fail()
		}
	}
}

func (s *scanner) op() Op {
	name := s.plain()
	for _, op := range [...]Op{Create, Update, Put, Delete, Bulk} {
		if string(name) == string(op) {
			return op
		}
	}
	s.fail()
	return ""
}

// fields reads the fields of a row. They stand in the order of their names, so the row as it was finds the names of the row as it is.
func (s *scanner) fields() Fields {
	fields := make(Fields, len(s.names))
	s.take('{')
	next := 0
	for n := 0; s.more(n, '}'); n++ {
		name := s.member()
		for next < len(s.names) && s.names[next] < string(name) {
			next++
		}
		if next == len(s.names) || s.names[next] != string(name) {
			s.names = append(s.names[:next], string(name))
		}
		fields[s.names[next]] = s.raw()
	}
	return fields
}

func (s *scanner) messages() []Message {
	list := make([]Message, 0, 1)
	s.take('[')
	for s.more(len(list), ']') {
		list = append(list, Message{})
		m := &list[len(list)-1]
		var seen once
		s.take('{')
		for n := 0; s.more(n, '}'); n++ {
			switch name := s.member(); string(name) {
			case "channel":
				m.Channel = s.text()
				seen.is(s, 0)
			case "data":
				m.Data = s.raw()
				seen.is(s, 1)
			case "note":
				m.Note = s.raw()
				seen.is(s, 2)
			default:
				s.fail()
			}
		}
	}
	return list
}

// isValue reports whether the data is one value without space.
func (s *scanner) isValue() bool {
	s.value(0)
	return !s.failed && s.at == len(s.data)
}

// value goes past any value.
func (s *scanner) value(depth int) {
	if depth > maxDepth {
		s.fail()
	}
	switch c := s.peek(); {
	case c == '"':
		s.skipString()
	case c == '-' || '0' <= c && c <= '9':
		s.number()
	case c == '{':
		s.at++
		for n := 0; s.more(n, '}'); n++ {
			s.skipString()
			s.take(':')
			s.value(depth + 1)
		}
	case c == '[':
		s.at++
		for n := 0; s.more(n, ']'); n++ {
			s.value(depth + 1)
		}
	case c == 't':
		s.literal("true")
	case c == 'f':
		s.literal("false")
	case c == 'n':
		s.literal("null")
	default:
		s.fail()
	}
}

func (s *scanner) literal(word string) {
	if len(s.data)-s.at < len(word) || string(s.data[s.at:s.at+len(word)]) != word {
		s.fail()
		return
	}
	s.at += len(word)
}

func (s *scanner) skipString() {
	s.take('"')
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return
		case c < ' ':
			s.fail()
		case c == '\\':
			s.escape()
		default:
			s.at++
		}
	}
	s.fail()
}

// escape goes past a backslash and what it escapes.
func (s *scanner) escape() {
	s.at++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
	case 'u':
		s.at++
		for range 4 {
			if c := s.peek(); (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				s.fail()
				return
			}
			s.at++
		}
	default:
		s.fail()
	}
}

func (s *scanner) number() {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else {
		s.digits()
	}
	if s.peek() == '.' {
		s.at++
		s.digits()
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		s.digits()
	}
}

// digits goes past one or more digits.
func (s *scanner) digits() {
	from := s.at
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.at++
	}
	if s.at == from {
		s.fail()
	}
}
