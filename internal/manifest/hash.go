package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// InputHash returns the SHA-256, in hex, of v as canonical JSON: what encoding/json writes, with the members of every
// object sorted by name. Moving a struct's fields, or using a map instead, does not change the hash; renaming a field,
// adding one without omitempty or reordering a slice does. The hash finds earlier runs with the same input, so it must
// stay the same over releases: numbers are hashed as encoding/json writes them and never pass through a float.
func InputHash(v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("hash input: %w", err)
	}
	canonical := appendCanonical(make([]byte, 0, len(plain)), plain)
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// appendCanonical appends value with sorted objects. value is one JSON value as json.Marshal writes it: valid and without
// blanks. Decoding it into maps would be shorter, but a worklist of a million tokens would take gigabytes.
func appendCanonical(dst, value []byte) []byte {
	switch value[0] {
	case '{':
		members := split(value)
		slices.SortStableFunc(members, func(a, b []byte) int { return bytes.Compare(quoted(a), quoted(b)) })
		return appendElements(dst, '{', members, '}')
	case '[':
		return appendElements(dst, '[', split(value), ']')
	default:
		return append(dst, value...)
	}
}

func appendElements(dst []byte, opening byte, elements [][]byte, closing byte) []byte {
	dst = append(dst, opening)
	for i, element := range elements {
		if i > 0 {
			dst = append(dst, ',')
		}
		if opening == '{' {
			name := quoted(element)
			dst = append(append(dst, name...), ':')
			element = element[len(name)+1:]
		}
		dst = appendCanonical(dst, element)
	}
	return append(dst, closing)
}

// split cuts an object or array at its own commas.
func split(value []byte) [][]byte {
	body := value[1 : len(value)-1]
	if len(body) == 0 {
		return nil
	}
	var parts [][]byte
	depth, start := 0, 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i += len(quoted(body[i:])) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, body[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, body[start:])
}

// quoted returns the string literal, with its quotes, that text starts with; of an object's member that is its name.
func quoted(text []byte) []byte {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i+1]
		}
	}
}
