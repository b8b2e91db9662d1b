package pusher

import (
	"fmt"
	"testing"

	"github.com/swampline/live"
)

// TestSignaturesAreThoseOfTheProtocol holds them against its test vectors.
func TestSignaturesAreThoseOfTheProtocol(t *testing.T) {
	data := `{"user_id":10,"user_info":{"name":"Mr. Channels"}}`
	for text, want := range map[string]string{
		textOfChannel("1234.1234", "private-foobar", nil):    "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4",
		textOfChannel("1234.1234", "presence-foobar", &data): "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80",
		textOfUser("1234.1234", `{"id":"12345"}`):            "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba",
	} {
		if got := signed(&testApp, text); got != want {
			t.Errorf("%q is signed with %s, want %s", text, got, want)
		}
		auth := testApp.Key + ":" + want
		if !authorised(&testApp, auth, text) {
			t.Errorf("%q is refused", text)
		}
		for _, bad := range []string{"", ":", want, ":" + want, "other:" + want, testApp.Key + ":", testApp.Key + ":" + want[1:], auth + "0", testApp.Key + ":" + want[:63] + "x"} {
			if authorised(&testApp, bad, text) {
				t.Errorf("%q is taken for %q", bad, text)
			}
		}
	}
}

func TestPrivateChannelsNeedTheAppsSignature(t *testing.T) {
	n := startNode(t, nil, live.Options{}, Options{Apps: []App{silent}})
	c, other := n.dial(), n.dial()
	data := `{"user_id":"u1"}`
	for _, channel := range []string{"private-x", "private-encrypted-x", "private-cache-x", "private-encrypted-cache-x", "presence-x"} {
		for _, auth := range []string{
			"", "x", authOf(textOfChannel(other.socket, channel, nil)), authOf(textOfChannel(c.socket, channel+"y", nil)), authOf(textOfUser(c.socket, channel)),
			"x:" + signed(&testApp, textOfChannel(c.socket, channel, nil)), testApp.Key + ":" + signed(&App{Secret: "other"}, textOfChannel(c.socket, channel, nil)),
		} {
			c.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"auth":%q,"channel":%q}}`, auth, channel))
			c.wantRefused(channel, 401)
		}
		// What is signed is what came: not without it, not with other spaces.
		c.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"auth":%q,"channel":%q,"channel_data":%s}}`, authOf(textOfChannel(c.socket, channel, nil)), channel, quote(data)))
		c.wantRefused(channel, 401)
		c.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"auth":%q,"channel":%q,"channel_data":%s}}`, authOf(textOfChannel(c.socket, channel, &data)), channel, quote(data+" ")))
		c.wantRefused(channel, 401)
	}
	n.trigger("private-x", "secret", "1")
	c.sync()
	n.catchUp()
	c.follow("private-x")
	c.askAs("private-y", data) // it may be signed with data, too
	c.want(`pusher_internal:subscription_succeeded private-y "{}"`)
	n.trigger("private-x", "secret", "2")
	c.want(`secret private-x "2"`)

	c.follow("private-encrypted-x")
	sealed := `{"nonce":"4sVYwy4j/8dCcjyxtPCWyk19GaaViaW9","ciphertext":"/GMESnFGlbNn01BuBjp31XYa3i9vZsGKR8fgR9EDhXKx3lzGiUD501A="}`
	n.trigger("private-encrypted-x", "e", sealed)
	if f := c.next(); f.text() != sealed {
		t.Errorf("got %v", f)
	}
}
