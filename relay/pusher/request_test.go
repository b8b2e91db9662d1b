package pusher

import (
	"strings"
	"testing"
)

// The vector of Pusher's documentation.
func TestSign(t *testing.T) {
	got := sign("7ad3773142a6692b25b8", "POST", "/apps/3/events", map[string]string{
		"auth_key": "278d425bdf160c739803", "auth_timestamp": "1353088179", "auth_version": "1.0", "body_md5": "ec365a775a4cd0599faeb73354201b6f",
	})
	if want := "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"; got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
}

// Two different texts have two different channels, all of which are in the service's alphabet.
func FuzzEscape(f *testing.F) {
	f.Add("7", "a:b")
	f.Add("=3a", ":")
	f.Add("ä", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := escape(a), escape(b)
		if (a == b) != (x == y) {
			t.Errorf("%q and %q are %q and %q", a, b, x, y)
		}
		if x != "" && !channelName.MatchString(x) {
			t.Errorf("%q is %q", a, x)
		}
	})
}

func TestLongChannels(t *testing.T) {
	p := pattern{prefix: "private-list-", family: true}
	if name, err := p.name(strings.Repeat("a", 151)); err != nil || len(name) != 164 {
		t.Errorf("the name is of %d bytes, and the error %v", len(name), err)
	}
	if _, err := p.name(strings.Repeat("a", 152)); err == nil {
		t.Error("a name of 165 bytes is no error")
	}
}

// What is remembered of rows is bounded, and that of the row that changed last stays.
func TestPlacesAreBounded(t *testing.T) {
	p := newPlaces(2)
	for _, key := range []string{"a", "b", "a", "c"} {
		p.put(place{key: key, channels: []string{key}})
	}
	if p.of("a") == nil || p.of("b") != nil || p.of("c") == nil || p.order.Len() != 2 || len(p.byKey) != 2 {
		t.Errorf("known are %v", p.byKey)
	}
	if p.forget(); p.of("a") != nil || p.order.Len() != 0 {
		t.Error("forget forgets nothing")
	}
}
