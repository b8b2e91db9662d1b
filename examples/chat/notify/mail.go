package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
)

// Mail is a Backend that writes e-mails. All its fields but URL must be set.
type Mail struct {
	// From is the sender.
	From mail.Address
	// Address says where a person gets mail; false: nowhere, and then nothing is sent.
	Address func(ctx context.Context, person string) (mail.Address, bool, error)
	// Sender sends what was written: SMTP, or a Folder.
	Sender Sender
	// URL is where the application is, such as "https://chat.example.com": it is put before the links. Empty: mails have none.
	URL string
}

// Sender sends a mail. It returns when the mail is in the hands of somebody else, or an error when it cannot be known to be.
type Sender interface {
	Send(ctx context.Context, from, to string, message []byte) error
}

// Deliver sends one mail of all notifications. If it is called again with the same ones the mail has the same Message-ID, by which mail
// programs know a second copy.
func (m *Mail) Deliver(ctx context.Context, person string, notifications []Notification) error {
	to, ok, err := m.Address(ctx, person)
	if err != nil || !ok {
		return err
	}
	message, err := m.write(to, notifications)
	if err != nil {
		return err
	}
	return m.Sender.Send(ctx, m.From.Address, to.Address, message)
}

// write returns a mail as it goes over the wire.
func (m *Mail) write(to mail.Address, notifications []Notification) ([]byte, error) {
	_, domain, found := strings.Cut(m.From.Address, "@")
	if !found {
		return nil, errors.New("the sender has no domain")
	}
	subject := notifications[0].Title
	if n := len(notifications); n > 1 {
		subject = fmt.Sprintf("%s, and %d more", subject, n-1)
	}
	name := sha256.New()
	for _, n := range notifications {
		fmt.Fprintln(name, n.Person, n.ID)
	}

	var b bytes.Buffer
	for _, header := range [][2]string{
		{"From", m.From.String()},
		{"To", to.String()},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(subject))},
		{"Date", time.Now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + hex.EncodeToString(name.Sum(nil)[:16]) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", header[0], header[1])
	}
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	if _, err := body.Write([]byte(strings.ReplaceAll(m.text(notifications), "\n", "\r\n"))); err != nil {
		return nil, err
	}
	return b.Bytes(), body.Close()
}

// text returns what the mail says.
func (m *Mail) text(notifications []Notification) string {
	var b strings.Builder
	for _, n := range notifications {
		fmt.Fprintf(&b, "%s\n", oneLine(n.Title))
		if n.Body != "" {
			fmt.Fprintf(&b, "\n    %s\n", strings.Join(strings.Split(strings.ReplaceAll(n.Body, "\r", ""), "\n"), "\n    "))
		}
		if m.URL != "" && n.Link != "" {
			fmt.Fprintf(&b, "\n%s%s\n", strings.TrimSuffix(m.URL, "/"), n.Link)
		}
		b.WriteString("\n")
	}
	b.WriteString("You get this because you were away. What you read in the meantime is not in it.\n")
	return b.String()
}

// oneLine keeps what people wrote from becoming lines of a header, or of the text.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
