package seed

import "math/rand/v2"

// Choices is a source of numbers whose bytes are choices, so that a fuzzer can change one and leave the others: any bytes make a schedule.
// What comes after the last is always the same.
type Choices struct {
	left []byte
	rest *rand.PCG
}

// From returns the choices that bytes make.
func From(choices []byte) *Choices { return &Choices{choices, rand.NewPCG(7, 7)} }

// Left is how many bytes were not used yet.
func (c *Choices) Left() int { return len(c.left) }

// Uint64 makes the next choice a number: rand.Source.
func (c *Choices) Uint64() uint64 {
	if len(c.left) == 0 {
		return c.rest.Uint64()
	}
	choice := c.left[0]
	c.left = c.left[1:]
	return uint64(choice) * 0x0101010101010101 // whichever bits count
}

// Some returns n choices that a fuzzer can begin with.
func Some(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	choices := make([]byte, n)
	for i := range choices {
		choices[i] = byte(r.Uint32())
	}
	return choices
}
