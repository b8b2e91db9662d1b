package notify

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"time"
)

// SMTP is a Sender that hands mails to a mail server.
type SMTP struct {
	// Addr is the server, with its port: "mail.example.com:587".
	Addr string
	// Username and Password are sent if they are set, and only over TLS, which the server must offer, or to this machine.
	Username, Password string
	// TLS is the configuration for STARTTLS, which is used where the server offers it. Nil: the usual one for the server's name.
	TLS *tls.Config
}

// smtpTimeout bounds a mail whose context has no deadline.
const smtpTimeout = 30 * time.Second

// Send sends a mail over a connection of its own.
func (s SMTP) Send(ctx context.Context, from, to string, message []byte) (err error) {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, smtpTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	// net/smtp knows no context: the end of this one breaks the connection.
	unwatch := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		unwatch()
		conn.Close()
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if err := s.secure(client, host); err != nil {
		return err
	}
	if err := client.Mail(from); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := data.Write(message); err != nil {
		return err
	}
	if err := data.Close(); err != nil { // the server's word that it has it
		return err
	}
	_ = client.Quit() // it has the mail, whatever it says now
	return nil
}

// secure begins TLS where the server has it, and says who we are if we are somebody.
func (s SMTP) secure(client *smtp.Client, host string) error {
	if ok, _ := client.Extension("STARTTLS"); ok {
		config := s.TLS
		if config == nil {
			config = &tls.Config{ServerName: host}
		}
		if err := client.StartTLS(config); err != nil {
			return err
		}
	}
	if s.Username == "" {
		return nil
	}
	return client.Auth(smtp.PlainAuth("", s.Username, s.Password, host))
}

// Folder is a Sender that writes each mail into a directory of that name, as a file that mail programs open: for development.
type Folder string

// Send writes the file. It is called *.eml only when it is whole.
func (f Folder) Send(_ context.Context, _, _ string, message []byte) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	name := time.Now().UTC().Format("20060102-150405") + "-" + rand.Text()[:8] + ".eml"
	part := filepath.Join(string(f), name+".part")
	if err := os.WriteFile(part, message, 0o600); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(string(f), name))
}
