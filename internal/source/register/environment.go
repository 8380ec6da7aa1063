package register

import (
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/secret"
)

// settings are what the environment can say of the sources.
func settings() (declared []config.SourceSettings) {
	for _, sheet := range Sheets() {
		declared = append(declared, sheet.SourceSettings)
	}
	return declared
}

// LoadConfig reads the configuration, with the settings of all sources.
func LoadConfig(getenv func(string) string) (config.Config, error) {
	return config.Load(getenv, settings())
}

// Getenv is the environment for LoadConfig: of a variable that is set to nothing it knows that it is set.
func Getenv(lookup func(string) (string, bool)) func(string) string {
	return config.Getenv(lookup, settings())
}

// Secrets are the values of the environment that no log, row or page may show, the keys of all sources among them.
func Secrets(getenv func(string) string) []secret.Text { return config.Secrets(getenv, settings()) }

// Environment is what of the environment explains a run, without its secrets; see manifest.Environment.
func Environment(getenv func(string) string) map[string]string {
	return manifest.Environment(getenv, disclosures())
}

// disclosures say of the sources' variables what of their values may be recorded.
func disclosures() map[string]manifest.Disclosure {
	recorded := make(map[string]manifest.Disclosure)
	for _, s := range settings() {
		for _, name := range s.Keys() {
			recorded[name] = manifest.AsSecret
		}
		for _, place := range s.Places {
			recorded[place.Variable] = manifest.RedactURL
		}
		if s.Rate.Variable != "" {
			recorded[s.Rate.Variable] = manifest.Redact
		}
	}
	return recorded
}
