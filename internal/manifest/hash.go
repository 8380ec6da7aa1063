package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// InputHash is the SHA-256, in hex, of the JSON of the canonical request. It is compared across versions of quantbot, so
// the request's fields and their order may only grow, with omitempty.
func InputHash(request any) (string, error) {
	hash := sha256.New()
	if err := json.NewEncoder(hash).Encode(request); err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
