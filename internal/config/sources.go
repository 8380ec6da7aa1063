package config

import (
	"strconv"
	"time"

	"quantbot/internal/secret"
)

// MaxNumberedKeys is how many numbered keys a source may have beside the one without a number: KEY_1 to KEY_16.
const MaxNumberedKeys = 16

// SourceSettings declares what the environment can say of one market-data source. A source declares it in its data sheet.
type SourceSettings struct {
	// Name is the source's name in flags and rows.
	Name string
	// Help explains the settings in .env.example, in sentences.
	Help string
	// Key is the variable of the API key; further keys are in Key_1 to Key_16. "" = the source wants none.
	Key string
	// Places are where the source is asked, the API first.
	Places []PlaceSetting
	Rate   RateSetting
}

// PlaceSetting declares the base URL of a service.
type PlaceSetting struct {
	// Name is what the place is called in a run's manifest: the source's name for its API.
	Name string
	// Variable is the environment's variable, and Default what it is when it is not set.
	Variable string
	Default  string
	// Optional says that the source works without the place: the variable set to nothing leaves it out.
	Optional bool
	// Help explains the variable in .env.example; "" = the source's help does.
	Help string
}

// RateSetting declares how fast each account of a source may be asked, in request weight.
type RateSetting struct {
	// Variable is the environment's variable; "" = the rate is always the default.
	Variable string
	Default  float64
	// Per is the unit of time that the rate counts in.
	Per time.Duration
}

// Keys returns the variables that hold keys.
func (s SourceSettings) Keys() (names []string) {
	if s.Key == "" {
		return nil
	}
	names = append(names, s.Key)
	for i := 1; i <= MaxNumberedKeys; i++ {
		names = append(names, s.Key+"_"+strconv.Itoa(i))
	}
	return names
}

// Variables returns the variables that are set at most once: the key without a number, the base URLs, and the rate.
func (s SourceSettings) Variables() (names []string) {
	if s.Key != "" {
		names = append(names, s.Key)
	}
	for _, place := range s.Places {
		names = append(names, place.Variable)
	}
	if s.Rate.Variable != "" {
		names = append(names, s.Rate.Variable)
	}
	return names
}

// Source is what the environment says of one market-data source.
type Source struct {
	Settings SourceSettings
	// Keys are the API keys, each once. Each belongs to an account of its own.
	Keys []secret.Text
	// BaseURLs are where the source is asked, by the variable of the place; "" = the place is left out.
	BaseURLs map[string]string
	// Rate is how fast each account may be asked, in the unit of its setting.
	Rate float64
}

// BaseURL is where the source's API is asked.
func (s Source) BaseURL() string { return s.BaseURLs[s.Settings.Places[0].Variable] }

// PerSecond is the request weight that each account may be asked for in a second.
func (s Source) PerSecond() float64 { return s.Rate / s.Settings.Rate.Per.Seconds() }

// KeyMissing reports whether the source wants a key and has none.
func (s Source) KeyMissing() bool { return s.Settings.Key != "" && len(s.Keys) == 0 }

// sources reads what the environment says of each source.
func (r *reader) sources(declared []SourceSettings) map[string]Source {
	sources := make(map[string]Source, len(declared))
	for _, settings := range declared {
		sources[settings.Name] = r.source(settings)
	}
	return sources
}

func (r *reader) source(settings SourceSettings) Source {
	s := Source{Settings: settings, Keys: r.keys(settings.Keys()), BaseURLs: make(map[string]string), Rate: settings.Rate.Default}
	for _, place := range settings.Places {
		read := r.httpURL
		if place.Optional {
			read = r.optionalURL
		}
		s.BaseURLs[place.Variable] = read(place.Variable, place.Default)
	}
	if settings.Rate.Variable != "" {
		s.Rate = r.rate(settings.Rate.Variable, settings.Rate.Default)
	}
	return s
}
