package websocket_test

import (
	"fmt"
	"strings"

	"github.com/swampline/live/transport/internal/script"
)

// tooLarge is what a session says to TooLarge.
var tooLarge = string(script.Problem("error", 413, "message_too_large").Data)

func repeated(s string, times int) (all []string) {
	for range times {
		all = append(all, s)
	}
	return all
}

// fragmentCases are of messages in several frames.
func fragmentCases() []rawCase {
	parts := func(parts ...string) (frames []string) {
		for i, p := range parts {
			first := byte(opContinuation)
			if i == 0 {
				first = opText
			}
			if i == len(parts)-1 {
				first |= fin
			}
			frames = append(frames, frame(first, p))
		}
		return frames
	}
	joined := func(frames []string) []string { return []string{strings.Join(frames, "")} }
	many := strings.Split(strings.Repeat("x", 1000), "")
	over := strings.Repeat("*", rawLimit)
	return []rawCase{
		{rfc: "5.4", name: "two fragments", send: parts("hel", "lo"), received: []string{"hello"}},
		{rfc: "5.4", name: "two fragments in one write", send: joined(parts("hel", "lo")), received: []string{"hello"}},
		{rfc: "5.4", name: "five fragments", send: parts("a", "bc", "def", "gh", "i"), received: []string{"abcdefghi"}},
		{rfc: "5.4", name: "a thousand fragments", send: joined(parts(many...)), received: []string{strings.Repeat("x", 1000)}},
		{rfc: "5.4", name: "fragments cut everywhere", send: pieces(3, joined(parts("hel", "lo", ", world"))[0]), received: []string{"hello, world"}},
		{rfc: "5.4", name: "an empty first fragment", send: parts("", "hello"), received: []string{"hello"}},
		{rfc: "5.4", name: "an empty last fragment", send: parts("hello", ""), received: []string{"hello"}},
		{rfc: "5.4", name: "an empty fragment in the middle", send: parts("hel", "", "lo"), received: []string{"hello"}},
		{rfc: "5.4", name: "nothing but empty fragments", send: parts("", "", ""), received: []string{""}},
		{rfc: "5.4", name: "messages behind fragments", send: joined(append(parts("a", "b"), text("c"), text("d"))), received: []string{"ab", "c", "d"}},
		{rfc: "5.4", name: "fragments that wait for each other", send: []string{ping("1") + frame(opText, "hel"), hearing, ping("2"), hearing, frame(fin|opContinuation, "lo")},
			received: []string{"hello"}, says: []string{"pong 1", "pong 2"}},
		{rfc: "5.4", name: "a ping between fragments", send: []string{frame(opText, "hel") + ping("1") + frame(fin|opContinuation, "lo")},
			received: []string{"hello"}, says: []string{"pong 1"}},
		{rfc: "5.4", name: "pings and pongs between fragments", send: []string{
			frame(opText, "a") + ping("1") + frame(fin|opPong, "") + frame(opContinuation, "b") + ping("2") + ping("3") + frame(fin|opContinuation, "c")},
			received: []string{"abc"}, says: []string{"pong 1", "pong 2", "pong 3"}},
		{rfc: "5.4", name: "pings between fragments, cut everywhere", send: pieces(2, frame(opText, "a")+ping("1")+frame(opContinuation, "b")+ping("2")+frame(fin|opContinuation, "c")),
			received: []string{"abc"}, says: []string{"pong 1", "pong 2"}},
		{rfc: "5.4", name: "a ping between empty fragments", send: []string{frame(opText, "") + ping("1") + frame(fin|opContinuation, "")}, received: []string{""}, says: []string{"pong 1"}},
		{rfc: "5.4", name: "a continuation of nothing", send: []string{frame(fin|opContinuation, "lo") + text("a")}, says: []string{"close 1002"}},
		{rfc: "5.4", name: "an unfinished continuation of nothing", send: []string{frame(opContinuation, "lo")}, says: []string{"close 1002"}},
		{rfc: "5.4", name: "an empty continuation of nothing", send: []string{frame(fin|opContinuation, "")}, says: []string{"close 1002"}},
		{rfc: "5.4", name: "a continuation of a whole message", send: []string{text("a") + frame(fin|opContinuation, "b")}, received: []string{"a"}, says: []string{"close 1002"}},
		{rfc: "5.4", name: "a continuation behind the last fragment", send: joined(append(parts("a", "b"), frame(fin|opContinuation, "c"))), received: []string{"ab"}, says: []string{"close 1002"}},
		{rfc: "5.4", name: "a message between fragments", send: []string{frame(opText, "hel") + text("lo")}, says: []string{"close 1002"}},
		{rfc: "5.4", name: "a message that begins twice", send: []string{frame(opText, "hel") + frame(opText, "lo")}, says: []string{"close 1002"}},
		{rfc: "5.4", name: "a binary message between fragments", send: []string{frame(opText, "hel") + frame(fin|opBinary, "lo")}, says: []string{"close 1002"}},
		{rfc: "5.4", name: "a close frame between fragments", send: []string{frame(opText, "hel") + closing(1000, "") + frame(fin|opContinuation, "lo")}, says: []string{"close 1000"}},
		{rfc: "5.4", name: "an end between fragments", send: []string{text("a") + frame(opText, "hel") + ping("1")}, says: []string{"pong 1"}, over: true, received: []string{"a"}},
		{rfc: "5.4", name: "a message of the greatest size in fragments", send: parts(over[:1000], over[1000:1<<16], over[1<<16:]), received: []string{over}},
		{rfc: "5.4", name: "a message too large in fragments", send: joined(append(parts(over[:1000], over[1000:], "b"), text("c"))), received: []string{"c"}, answers: []string{tooLarge, "c"}},
		{rfc: "5.4", name: "a message too large, with a ping between fragments", send: []string{frame(opText, over+"b") + ping("1") + frame(fin|opContinuation, "c") + text("d")},
			received: []string{"d"}, answers: []string{tooLarge, "d"}, says: []string{"pong 1"}},
		{rfc: "7.4.1", name: "a message too large by far in fragments", send: append([]string{frame(opText, over)}, repeated(frame(opContinuation, over), 16)...), says: []string{"close 1009"}},
	}
}

// controlCases are of pings and pongs, and of the form of all control frames.
func controlCases() []rawCase {
	most := strings.Repeat("p", 125)
	ten, answers := "", []string(nil)
	for i := range 10 {
		ten += ping(fmt.Sprint(i))
		answers = append(answers, fmt.Sprintf("pong %d", i))
	}
	return []rawCase{
		{rfc: "5.5.2", name: "an empty ping", send: []string{ping("")}, says: []string{"pong "}},
		{rfc: "5.5.2", name: "a ping", send: []string{ping("hello")}, says: []string{"pong hello"}},
		{rfc: "5.5.2", name: "a ping of 125 bytes", send: []string{ping(most)}, says: []string{"pong " + most}},
		{rfc: "5.5.2", name: "a ping that is not text", send: []string{ping("\x00\xff\xfe\xed")}, says: []string{"pong \x00\xff\xfe\xed"}},
		{rfc: "5.5.2", name: "a ping in writes of a byte", send: pieces(1, ping("hello")), says: []string{"pong hello"}},
		{rfc: "5.5.2", name: "half a ping behind a message", send: []string{ping("1") + text("a") + ping("half")[:7], hearing, ping("half")[7:]}, received: []string{"a"}, says: []string{"pong 1", "pong half"}},
		{rfc: "5.5.2", name: "ten pings in one write", send: []string{ten}, says: answers},
		{rfc: "5.5.2", name: "ten pings, cut everywhere", send: pieces(4, ten), says: answers},
		{rfc: "5.5.2", name: "a ping between messages", send: []string{text("a") + ping("1") + text("b")}, received: []string{"a", "b"}, says: []string{"pong 1"}},
		{rfc: "5.5.2", name: "a ping before a close frame", send: []string{ping("1") + closing(1000, "")}, says: []string{"pong 1", "close 1000"}},
		{rfc: "5.5.3", name: "a pong that nobody asked for", send: []string{frame(fin|opPong, "hello")}},
		{rfc: "5.5.3", name: "an empty pong that nobody asked for", send: []string{frame(fin|opPong, "") + text("a")}, received: []string{"a"}},
		{rfc: "5.5.3", name: "a pong of 125 bytes", send: []string{frame(fin|opPong, most) + ping("1")}, says: []string{"pong 1"}},
		{rfc: "5.5", name: "a ping of 126 bytes", send: []string{text("a") + ping(most+"p")}, received: []string{"a"}, says: []string{"close 1002"}},
		{rfc: "5.5", name: "a pong of 126 bytes", send: []string{frame(fin|opPong, most+"p")}, says: []string{"close 1002"}},
		{rfc: "5.5", name: "a close frame of 126 bytes", send: []string{closing(1000, most[:124])}, says: []string{"close 1002"}},
		{rfc: "5.5", name: "a ping of 64 KiB", send: []string{header(fin|opPing, 1<<16, key)}, says: []string{"close 1002"}},
		{rfc: "5.5", name: "a fragment of a ping", send: []string{frame(opPing, "hel") + frame(fin|opContinuation, "lo")}, says: []string{"close 1002"}},
		{rfc: "5.5", name: "a fragment of a pong", send: []string{frame(opPong, "hel")}, says: []string{"close 1002"}},
		{rfc: "5.5", name: "a fragment of a close frame", send: []string{frame(opClose, "\x03\xe8")}, says: []string{"close 1002"}},
		{rfc: "5.5", name: "a fragment of a ping between fragments", send: []string{frame(opText, "hel") + frame(opPing, "1")}, says: []string{"close 1002"}},
		{rfc: "5.2", name: "a ping with its length in 16 bits", send: []string{"\x89\xfe\x00\x05" + key + mask("hello", key)}, says: []string{"pong hello"},
			differs: "the least number of bytes MUST be used for a length, and a control frame's is 7 bits; the library takes it"},
	}
}

// reservedCases are of what RFC 6455 leaves to extensions, of which none was agreed on.
func reservedCases() (cases []rawCase) {
	refused := func(name string, frames ...string) {
		cases = append(cases, rawCase{rfc: "5.2", name: name, send: []string{text("a") + strings.Join(frames, "") + text("b")}, received: []string{"a"}, says: []string{"close 1002"}})
	}
	refused("RSV1 on a message", frame(fin|rsv1|opText, "x")) // compression, which nobody agreed on
	refused("RSV2 on a message", frame(fin|rsv2|opText, "x"))
	refused("RSV3 on a message", frame(fin|rsv3|opText, "x"))
	refused("all of RSV on a message", frame(fin|rsv1|rsv2|rsv3|opText, "x"))
	refused("RSV1 on a fragment", frame(opText, "x")+frame(fin|rsv1|opContinuation, "y"))
	refused("RSV1 on a first fragment", frame(rsv1|opText, "x"))
	refused("RSV1 on a ping", frame(fin|rsv1|opPing, "x"))
	refused("RSV2 on a pong", frame(fin|rsv2|opPong, "x"))
	refused("RSV3 on a close frame", frame(fin|rsv3|opClose, "\x03\xe8"))
	refused("RSV1 on an empty message", frame(fin|rsv1|opText, ""))
	for _, op := range []byte{0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		refused(fmt.Sprintf("opcode %#x", op), frame(fin|op, "x"))
	}
	refused("opcode 0x3, empty", frame(fin|0x3, ""))
	refused("opcode 0xb, a fragment", frame(0xb, "x"))
	refused("opcode 0x3 between fragments", frame(opText, "x"), frame(fin|0x3, "y"))
	refused("opcode 0xb between fragments", frame(opText, "x"), frame(fin|0xb, "y"))
	return cases
}
