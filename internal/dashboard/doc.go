// Package dashboard shows runs, chunks, workers and queues in a browser, and lets those who have the token act on them.
//
// Pages are rendered on the server; scripts only add live progress. Everything a browser needs is in the binary.
//
// # How to add a page
//
// A page is one file with a data struct and a load function, and one template. For a page Quality:
//
//  1. quality.go declares the small interface that it reads through (qualityHistory), which history.go adds to History,
//     the struct that it shows (qualityData, with JSON tags: it is also the answer of /api/quality), the page and its
//     load function; runs.go is an example:
//     page{path: "/quality", template: "quality.html", section: "Quality", load: d.loadQuality}
//     Parameters are read by readQuery, whose err is a 400 that names each bad one.
//  2. templates/quality.html defines "content"; .Data is what load returned. Helpers are in template_functions.go.
//  3. pages.go lists it. Its section, where it is a new one, is a line of sections there.
//  4. browser_test.go lists it in browserPages: it is then opened in Chromium, wide, narrow and dark.
//
// Scripts and styles are files in assets/, used as {{asset "quality.js"}}. The policy forbids inline scripts and styles:
// sizes in SVG go into attributes (width, x, …), never into style="". A load function returns notFound, badRequest or
// any other error; what is not meant for visitors is logged and becomes a sentence without details.
package dashboard
