package server

import "strconv"

// Message is message number n as it is sent: {"n":17,"text":"xxx…"}, of size bytes if the number leaves room for that.
func Message(n, size int) []byte {
	m := make([]byte, 0, size)
	m = append(m, `{"n":`...)
	m = strconv.AppendInt(m, int64(n), 10)
	m = append(m, `,"text":"`...)
	m = append(m, Text(n, size-len(m)-len(`"}`))...)
	return append(m, `"}`...)
}

// Text is length bytes of text, none if that is negative: another one than that of the message before, so that who compares the two finds that it
// has changed.
func Text(n, length int) string {
	return texts[n&1][:min(max(0, length), len(texts[0]))]
}

var texts = func() (both [2]string) {
	for i, letter := range []byte("xy") {
		b := make([]byte, 64<<10)
		for at := range b {
			b[at] = letter
		}
		both[i] = string(b)
	}
	return both
}()

// stride spreads consecutive messages over the keys. It is prime.
const stride = 7919

// Key is whom message number n concerns, of so many keys: -1, everybody, if there are none. Each key has its turn once in as many
// messages as there are keys, unless their number is a multiple of 7919.
func Key(n, keys int) int {
	if keys <= 0 {
		return -1
	}
	return n * stride % keys
}
