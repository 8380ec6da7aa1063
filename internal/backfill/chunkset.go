package backfill

import "encoding/hex"

// ChunkSet holds ids of chunks in half of their size, about 25 bytes each. The zero value is empty.
type ChunkSet struct {
	ids    map[[chunkIDBytes]byte]struct{}
	others map[ChunkID]struct{} // what NewChunk did not make
}

// Add reports whether the id is new.
func (s *ChunkSet) Add(id ChunkID) bool {
	var key [chunkIDBytes]byte
	if len(id) != hex.EncodedLen(chunkIDBytes) {
		return addTo(&s.others, id)
	}
	if _, err := hex.Decode(key[:], []byte(id)); err != nil || ChunkID(hex.EncodeToString(key[:])) != id {
		return addTo(&s.others, id)
	}
	return addTo(&s.ids, key)
}

func addTo[K comparable](set *map[K]struct{}, key K) bool {
	if *set == nil {
		*set = make(map[K]struct{})
	}
	before := len(*set)
	(*set)[key] = struct{}{}
	return len(*set) > before
}
