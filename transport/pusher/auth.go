package pusher

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// authorised reports whether auth is the app's signature of a text: "key:signature". It takes as long for a wrong one as for a right one.
func authorised(app *App, auth, text string) bool {
	key, given, _ := strings.Cut(auth, ":")
	same := hmac.Equal([]byte(signed(app, text)), []byte(given)) // both are compared, whatever the first says
	return hmac.Equal([]byte(app.Key), []byte(key)) && same
}

// signed is the app's signature of a text.
func signed(app *App, text string) string {
	mac := hmac.New(sha256.New, []byte(app.Secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// textOfChannel is what is signed for a subscription: channelData is exactly as it came, nil when none did.
func textOfChannel(socket, channel string, channelData *string) string {
	text := socket + ":" + channel
	if channelData != nil {
		text += ":" + *channelData
	}
	return text
}

// textOfUser is what is signed for a signin.
func textOfUser(socket, userData string) string { return socket + "::user::" + userData }
