package transport

// Batch is what sessions have to say at one time, in order. Sessions with the same to say share one, so that what their connections make
// of it is made once. It is used by one goroutine at a time.
type Batch struct {
	// Frames are at least one. Nobody may modify them.
	Frames []*Frame

	made []made
}

type made struct {
	form string
	data []byte
}

// Bytes returns the frames in a form, such as the messages of a WebSocket, as encode makes it. That is called once for each form of
// a batch. Nobody may modify what it returned.
func (b *Batch) Bytes(form string, encode func(frames []*Frame) []byte) []byte {
	for _, m := range b.made {
		if m.form == form {
			return m.data
		}
	}
	data := encode(b.Frames)
	b.made = append(b.made, made{form, data})
	return data
}
