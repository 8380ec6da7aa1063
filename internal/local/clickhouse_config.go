package local

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

const (
	configFile = "config.xml"
	usersXML   = "users.xml"
)

// clickhouseUser is the only user that can connect.
const clickhouseUser = "quantbot"

// clickhouseEngines are what the user may create: nothing that reads or writes elsewhere (File, URL, S3, MySQL …).
var clickhouseEngines = []string{
	"MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree", "CollapsingMergeTree", "VersionedCollapsingMergeTree",
	"CoalescingMergeTree", "Memory", "Null", "Log", "Buffer", "Merge",
}

func (c *clickhouseEngine) path(name string) string { return filepath.Join(c.dir, name) }

// writeConfig limits the memory: without it one careless query takes the machine.
func (c *clickhouseEngine) writeConfig() error {
	var b strings.Builder
	b.WriteString("<clickhouse>\n  <users_config>")
	if err := xml.EscapeText(&b, []byte(c.path(usersXML))); err != nil {
		return err
	}
	b.WriteString(`</users_config>
  <max_server_memory_usage_to_ram_ratio>0.4</max_server_memory_usage_to_ram_ratio>
  <mark_cache_size>268435456</mark_cache_size>
  <listen_host>127.0.0.1</listen_host>
`)
	if c.program != "" {
		b.WriteString("  <logger><level>warning</level><console>1</console></logger>\n")
	}
	b.WriteString("</clickhouse>\n")
	return errors.Join(os.WriteFile(c.path(configFile), []byte(b.String()), 0o600), os.WriteFile(c.path(usersXML), []byte(c.users()), 0o600))
}

// users are the one that connects, by a password of this start, and default, whom nobody can be:
//
//   - In libchdb the console is logged in as default, from 127.0.0.1 and without a password, and a server does not come up
//     without it. So its profile allows one session, which the console has from before the first port is opened until the
//     end, and no request can raise that. All it may do is open ports.
//   - The server program needs no default, so it may connect from nowhere.
//
// Only the digest of the password is written. It is of 130 random bits, so nobody finds the password by it.
func (c *clickhouseEngine) users() string {
	digest := sha256.Sum256([]byte(c.password))
	networks := "<ip>127.0.0.1</ip>"
	if c.program != "" {
		networks = ""
	}
	grants := []string{
		"GRANT ALL ON *.*", "REVOKE SOURCES ON *.*",
		"REVOKE CREATE DICTIONARY, CREATE FUNCTION, NAMED COLLECTION ADMIN, ACCESS MANAGEMENT, INTROSPECTION, SYSTEM SHUTDOWN, SYSTEM LISTEN ON *.*",
		"REVOKE TABLE ENGINE ON *",
	}
	for _, engine := range clickhouseEngines {
		grants = append(grants, "GRANT TABLE ENGINE ON "+engine)
	}
	return `<clickhouse>
  <profiles>
    <default/>
    <closed>
      <max_sessions_for_user>1</max_sessions_for_user>
      <constraints><max_sessions_for_user><const/></max_sessions_for_user></constraints>
    </closed>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password></password>
      <networks>` + networks + `</networks>
      <profile>closed</profile>
      <quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants>
    </default>
    <` + clickhouseUser + `>
      <password_sha256_hex>` + hex.EncodeToString(digest[:]) + `</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>` + strings.Join(grants, "</query>\n        <query>") + `</query>
      </grants>
    </` + clickhouseUser + `>
  </users>
</clickhouse>
`
}
