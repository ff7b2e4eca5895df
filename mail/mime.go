package mail

import "time"

// headers are the headers that differ between mails.
type headers struct {
	date                  time.Time
	from, to, subject, id string
}

const (
	// boundary separates the parts of a mail. It contains "=_", which no quoted-printable text can contain.
	boundary = "=_spillway"
	// textPart, htmlPart and lastPart begin the parts of a mail, and end the last one.
	textPart = "\n--" + boundary + "\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n\n"
	htmlPart = "\n--" + boundary + "\nContent-Type: text/html; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n\n"
	lastPart = "\n--" + boundary + "--\n"
	// fixedHeaders are the same for all mails. Auto-Submitted prevents automatic replies, such as those of vacation responders (RFC 3834).
	fixedHeaders = "Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: multipart/alternative;\n boundary=\"" + boundary + "\"\n"
	// messageIDDomain ends each Message-ID.
	messageIDDomain = "@spillway"
	// headerBytes is the usual size of all headers and part headers, about 700 bytes, rounded up.
	headerBytes = 1024
)

// appendMIME returns a multipart/alternative mail with LF line ends.
func appendMIME(h headers, text, html []byte) []byte {
	// Quoted-printable adds about a tenth to HTML: a soft line break a line, and the "=" of each attribute.
	raw := make([]byte, 0, headerBytes+(len(text)+len(html))*5/4)
	raw = h.date.AppendFormat(append(raw, "Date: "...), time.RFC1123Z)
	for _, header := range [...][2]string{
		{"\nFrom: ", h.from}, {"\nTo: ", h.to}, {"\nSubject: ", h.subject}, {"\nMessage-ID: <", h.id}, {messageIDDomain + ">\n", fixedHeaders},
	} {
		raw = append(append(raw, header[0]...), header[1]...)
	}
	raw = appendQuotedPrintable(append(raw, textPart...), text)
	raw = appendQuotedPrintable(append(raw, htmlPart...), html)
	return append(raw, lastPart...)
}
