package natsbroker

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/swampline/live/broker"
)

// The epoch is a token of the subject, so the server itself fences it: once the stream listens to the subject of the next
// epoch, what is published to the last one has no responder. Metadata of the stream would have to be read anew before each
// Append.

// newEpoch returns a random epoch. It is never zero, and below 2^52 so that it survives in a float64.
func newEpoch() uint64 {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		if e := binary.LittleEndian.Uint64(b[:]) >> 12; e != 0 {
			return e
		}
	}
}

// derivedEpoch returns the epoch that follows from a text. Nothing at the server compares and sets the configuration of a
// stream; two brokers that find out at once that it needs a new epoch make the same one instead.
func derivedEpoch(from string) uint64 {
	for {
		sum := sha256.Sum256([]byte(from))
		if e := binary.LittleEndian.Uint64(sum[:]) >> 12; e != 0 {
			return e
		}
		from += "."
	}
}

// successor returns the epoch after one whose history turned out to be lost. A broker that finds it out so late that there has
// been yet another sets the stream back by that one; positions of the two lives of an epoch still differ in Minor.
func successor(epoch uint64) uint64 {
	return derivedEpoch("live natsbroker: after " + strconv.FormatUint(epoch, 36))
}

// subjectOf returns the subject of an epoch.
func (b *Broker) subjectOf(epoch uint64) string {
	return b.o.Subject + "." + strconv.FormatUint(epoch, 36)
}

// epochOf returns the epoch whose subject this is.
func (b *Broker) epochOf(subject string) (uint64, bool) {
	token, ok := strings.CutPrefix(subject, b.o.Subject+".")
	if !ok {
		return 0, false
	}
	epoch, err := strconv.ParseUint(token, 36, 52)
	return epoch, err == nil && epoch != 0 && b.subjectOf(epoch) == subject
}

// newID returns a random message id.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// minorOf returns the word that stands for a message id in positions: 32 bits, never zero, which stands for "not known".
func minorOf(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return uint64(max(binary.LittleEndian.Uint32(sum[:]), 1))
}

// position returns where a message stands. One of another epoch's subject is no entry of this epoch; its minor is zero.
func (l *life) position(subject string, sequence uint64, id string) broker.Position {
	p := broker.Position{Epoch: l.epoch, Major: sequence}
	if subject == l.subject {
		p.Minor = minorOf(id)
	}
	return p
}
