package main

import (
	"strings"
	"unicode"
)

// part is a piece of text in the difference between two: "-" was taken out, "+" was put in, "" is in both.
type part struct{ Op, Text string }

// maxDiff bounds the words, between those at both ends that are equal, that are compared: the work goes with the product of both.
const maxDiff = 1000

// difference returns how text a became b, word by word, as the 409 page shows it. Where there is too much to compare one is taken
// out whole and the other put in.
func difference(a, b string) (parts []part) {
	from, to := words(a), words(b)
	head, tail := 0, 0
	for head < min(len(from), len(to)) && from[head] == to[head] {
		head++
	}
	for tail < min(len(from), len(to))-head && from[len(from)-1-tail] == to[len(to)-1-tail] {
		tail++
	}
	add := func(op, text string) {
		if n := len(parts); n > 0 && parts[n-1].Op == op {
			parts[n-1].Text += text
		} else if text != "" {
			parts = append(parts, part{op, text})
		}
	}
	add("", strings.Join(from[:head], ""))
	end := strings.Join(from[len(from)-tail:], "")
	from, to = from[head:len(from)-tail], to[head:len(to)-tail]
	if len(from) > maxDiff || len(to) > maxDiff {
		add("-", strings.Join(from, ""))
		add("+", strings.Join(to, ""))
	} else {
		align(from, to, add)
	}
	add("", end)
	return parts
}

// align adds the words of both: those that they have in common, in their order, once.
func align(from, to []string, add func(op, text string)) {
	// common[i][j] is how many words from[i:] and to[j:] have in common.
	common := make([][]int16, len(from)+1)
	for i := range common {
		common[i] = make([]int16, len(to)+1)
	}
	for i := len(from) - 1; i >= 0; i-- {
		for j := len(to) - 1; j >= 0; j-- {
			if from[i] == to[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(from) || j < len(to) {
		switch {
		case i < len(from) && j < len(to) && from[i] == to[j]:
			add("", from[i])
			i, j = i+1, j+1
		case j == len(to) || i < len(from) && common[i+1][j] >= common[i][j+1]:
			add("-", from[i])
			i++
		default:
			add("+", to[j])
			j++
		}
	}
}

// words cuts text between words, white space and each other character; joined they are the text.
func words(text string) []string {
	kind := func(r rune) int {
		switch {
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) || r == '_':
			return 1
		case unicode.IsSpace(r):
			return 2
		}
		return 0
	}
	var all []string
	start, last := 0, -1
	for i, r := range text {
		k := kind(r)
		if i > 0 && (k != last || k == 0) {
			all = append(all, text[start:i])
			start = i
		}
		last = k
	}
	if start < len(text) {
		all = append(all, text[start:])
	}
	return all
}
