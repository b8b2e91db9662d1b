package livequery

import "math/rand/v2"

// schedule is a source of numbers whose bytes are choices, so that the fuzzer can change one and leave the others: any bytes make a
// schedule. What comes after the last is always the same.
type schedule struct {
	choices []byte
	rest    *rand.PCG
}

func (s *schedule) Uint64() uint64 {
	if len(s.choices) > 0 {
		choice := s.choices[0]
		s.choices = s.choices[1:]
		return uint64(choice) * 0x0101010101010101 // whichever bits count
	}
	if s.rest == nil {
		s.rest = rand.NewPCG(7, 7)
	}
	return s.rest.Uint64()
}

// chosen returns a schedule of so many choices to begin with.
func chosen(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	choices := make([]byte, n)
	for i := range choices {
		choices[i] = byte(r.Uint32())
	}
	return choices
}
