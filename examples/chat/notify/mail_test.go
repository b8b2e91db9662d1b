package notify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mailServer is a small SMTP server. What it was told stands in lines, and the last mail in message.
type mailServer struct {
	net.Listener
	tls     *tls.Config // nil: it offers none
	refuse  string      // the command that it refuses
	mute    bool        // it takes connections and says nothing
	lines   []string
	message []byte
	done    chan struct{} // one for each connection that ended
}

func (s *mailServer) start(t *testing.T) SMTP {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener, s.done = listener, make(chan struct{}, 9)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
			conn.Close()
			s.done <- struct{}{}
		}
	}()
	return SMTP{Addr: listener.Addr().String()}
}

func (s *mailServer) serve(conn net.Conn) {
	if s.mute {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	text := textproto.NewConn(conn)
	_ = text.PrintfLine("220 test")
	secure := false
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		s.lines = append(s.lines, line)
		command := strings.ToUpper(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ':' })[0])
		if command == s.refuse {
			_ = text.PrintfLine("550 not here")
			continue
		}
		switch command {
		case "EHLO":
			if s.tls != nil && !secure {
				_ = text.PrintfLine("250-test\r\n250 STARTTLS")
			} else {
				_ = text.PrintfLine("250-test\r\n250 AUTH PLAIN")
			}
		case "STARTTLS":
			_ = text.PrintfLine("220 go on")
			secure = true
			text = textproto.NewConn(tls.Server(conn, s.tls))
		case "DATA":
			_ = text.PrintfLine("354 go on")
			s.message, _ = text.ReadDotBytes()
			_ = text.PrintfLine("250 taken")
		case "AUTH":
			_ = text.PrintfLine("235 welcome")
		case "QUIT":
			_ = text.PrintfLine("221 bye")
			return
		default:
			_ = text.PrintfLine("250 ok")
		}
	}
}

// selfSigned returns a server's certificate for 127.0.0.1, and a configuration that trusts it.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

func testMail(sender Sender) *Mail {
	return &Mail{
		From:   mail.Address{Name: "Chät", Address: "chat@example.com"},
		Sender: sender,
		URL:    "https://chat.example.com/",
		Address: func(_ context.Context, person string) (mail.Address, bool, error) {
			return mail.Address{Name: "Ada \"Zoë\"", Address: person + "@example.org"}, person != "nobody", nil
		},
	}
}

var notes = []Notification{
	{ID: 1, Person: "ada", Title: "Zoë mentioned you in #general", Body: "hello @Ada\n.\nthe second line, which is so long that it has to be broken because no line of a mail may be longer", Link: "/#/1"},
	{ID: 2, Person: "ada", Title: "Ben let\r\nBcc: everybody@example.com\r\nyou in", Link: "/#/2"},
}

func TestMailsGoOverSMTP(t *testing.T) {
	for _, secure := range []bool{false, true} {
		server := &mailServer{}
		var trust *tls.Config
		if secure {
			server.tls, trust = selfSigned(t)
		}
		sender := server.start(t)
		sender.TLS, sender.Username, sender.Password = trust, "chat", "secret"
		if err := testMail(sender).Deliver(t.Context(), "ada", notes); err != nil {
			t.Fatal(err)
		}
		<-server.done
		var commands []string
		for _, line := range server.lines {
			commands = append(commands, strings.Fields(line)[0])
		}
		want := []string{"EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"}
		if secure {
			want = []string{"EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"}
		}
		if !slices.Equal(commands, want) || !slices.Contains(server.lines, "RCPT TO:<ada@example.org>") {
			t.Errorf("secure %v: the server was told %q", secure, server.lines)
		}

		got, err := mail.ReadMessage(bytes.NewReader(server.message))
		if err != nil {
			t.Fatal(err)
		}
		subject, _ := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		if subject != "Zoë mentioned you in #general, and 1 more" {
			t.Errorf("the subject is %q", subject)
		}
		if to, err := got.Header.AddressList("To"); err != nil || to[0].Name != `Ada "Zoë"` {
			t.Errorf("it is to %v, %v", to, err)
		}
		if got.Header.Get("Bcc") != "" || !strings.HasSuffix(got.Header.Get("Message-ID"), "@example.com>") {
			t.Errorf("the header is %v", got.Header)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
		if err != nil {
			t.Fatal(err)
		}
		const text = `Zoë mentioned you in #general

    hello @Ada
    .
    the second line, which is so long that it has to be broken because no line of a mail may be longer

https://chat.example.com/#/1

Ben let Bcc: everybody@example.com you in

https://chat.example.com/#/2

You get this because you were away. What you read in the meantime is not in it.
`
		if string(body) != text {
			t.Errorf("it says\n%s\nwant\n%s", body, text)
		}
	}
}

// The subject is a header, too.
func TestNobodyWritesHeaders(t *testing.T) {
	message, err := testMail(nil).write(mail.Address{Address: "ada@example.org"}, notes[1:])
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	if bytes.Contains(header, []byte("\r\nBcc")) || !bytes.Contains(header, []byte("Subject: Ben let Bcc: everybody@example.com you in\r\n")) {
		t.Errorf("the header is\n%s", header)
	}
}

// A second copy of a mail has the name of the first, and another mail another one.
func TestACopyHasTheSameName(t *testing.T) {
	id := func(n ...Notification) string {
		message, err := testMail(nil).write(mail.Address{Address: "ada@example.org"}, n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := mail.ReadMessage(bytes.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		return got.Header.Get("Message-ID")
	}
	first, second, other := id(notes...), id(notes...), id(notes[0])
	if first != second || first == other {
		t.Errorf("the names are %s, %s and %s", first, second, other)
	}
}

func TestWhatTheServerRefusesIsAnError(t *testing.T) {
	for _, command := range []string{"MAIL", "RCPT", "DATA", "AUTH"} {
		server := &mailServer{refuse: command}
		sender := server.start(t)
		sender.Username = "chat"
		var refused *textproto.Error
		if err := testMail(sender).Deliver(t.Context(), "ada", notes); !errors.As(err, &refused) || refused.Code != 550 {
			t.Errorf("%s refused: %v", command, err)
		}
		<-server.done
	}
}

// What is secret is not said to whoever listens, but on this machine: to a server elsewhere that has no TLS the password does not go.
func TestNoPasswordGoesOverAnOpenLine(t *testing.T) {
	server := &mailServer{}
	sender := server.start(t)
	sender.Username, sender.Password = "chat", "secret"
	for _, host := range []string{"mail.example.com", "127.0.0.1"} {
		conn, err := net.Dial("tcp", sender.Addr)
		if err != nil {
			t.Fatal(err)
		}
		client, err := smtp.NewClient(conn, host)
		if err != nil {
			t.Fatal(err)
		}
		err = sender.secure(client, host)
		client.Close()
		<-server.done
		sent := slices.ContainsFunc(server.lines, func(line string) bool { return strings.HasPrefix(line, "AUTH") })
		if here := host == "127.0.0.1"; sent != here || (err == nil) != here {
			t.Errorf("%s: sent %v, %v", host, sent, err)
		}
	}
}

func TestAServerThatSaysNothingIsNotWaitedForLong(t *testing.T) {
	server := &mailServer{mute: true}
	sender := server.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := testMail(sender).Deliver(ctx, "ada", notes); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the mail: %v, want the end of the time", err)
	}
	<-server.done
	server.Close()
	if err := testMail(sender).Deliver(t.Context(), "ada", notes); err == nil {
		t.Error("a mail was sent to a server that is not there")
	}
}

func TestWhoHasNoAddressGetsNoMail(t *testing.T) {
	folder := Folder(filepath.Join(t.TempDir(), "mails"))
	if err := testMail(folder).Deliver(t.Context(), "nobody", notes); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(string(folder)); len(files) != 0 {
		t.Errorf("there are %v", files)
	}
}

// Who reads *.eml while mails are written finds whole mails only, and none that is gone a moment later.
func TestAFolderShowsWholeMailsOnly(t *testing.T) {
	folder := Folder(t.TempDir())
	done := make(chan error)
	go func() {
		var failed error
		for range 200 {
			failed = errors.Join(failed, testMail(folder).Deliver(context.Background(), "ada", notes))
		}
		done <- failed
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			files, _ := filepath.Glob(filepath.Join(string(folder), "*.eml"))
			for _, file := range files {
				if _, err := os.ReadFile(file); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestAFolderTakesMails(t *testing.T) {
	folder := Folder(filepath.Join(t.TempDir(), "mails"))
	for range 2 {
		if err := testMail(folder).Deliver(t.Context(), "ada", notes); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(string(folder), "*.eml"))
	if err != nil || len(files) != 2 {
		t.Fatalf("there are %v, %v; want two", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mail.ReadMessage(bytes.NewReader(text)); err != nil {
		t.Error(err)
	}
}
