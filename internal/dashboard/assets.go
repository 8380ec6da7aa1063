package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// asset is one file that browsers load.
type asset struct {
	body        []byte
	contentType string
	etag        string
}

// contentTypes are set by us: the machine's own table of types may lack some of them.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
	".map":  "application/json",
}

func readAssets() (map[string]asset, error) {
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return nil, err
	}
	assets := make(map[string]asset, len(entries))
	for _, entry := range entries {
		kind, ok := contentTypes[path.Ext(entry.Name())]
		if !ok {
			continue // licences and the like
		}
		body, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		assets[entry.Name()] = asset{body: body, contentType: kind, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return assets, nil
}

// serveAsset lets browsers keep assets and ask whether they are still the same: modules import one another by plain
// names, so names cannot carry a hash.
func (d *Dashboard) serveAsset(w http.ResponseWriter, r *http.Request) {
	found, ok := d.assets[r.PathValue("name")]
	if !ok {
		d.fail(w, r, notFound("There is no such file."))
		return
	}
	w.Header().Set("Content-Type", found.contentType)
	w.Header().Set("ETag", found.etag)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, r.PathValue("name"), time.Time{}, bytes.NewReader(found.body))
}
