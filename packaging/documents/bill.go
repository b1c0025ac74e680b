package main

import (
	"encoding/json"
	"time"
)

// The part of CycloneDX 1.6 that a bill of materials needs here.
type (
	bill struct {
		Format      string      `json:"bomFormat"`
		SpecVersion string      `json:"specVersion"`
		Version     int         `json:"version"`
		Metadata    metadata    `json:"metadata"`
		Components  []component `json:"components"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type     string       `json:"type"`
		Ref      string       `json:"bom-ref"`
		Name     string       `json:"name"`
		Version  string       `json:"version"`
		PURL     string       `json:"purl,omitempty"`
		Licences []expression `json:"licenses"`
	}
	expression struct {
		SPDX string `json:"expression"`
	}
)

// billOfMaterials lists the modules that the program is made of, as CycloneDX.
func billOfMaterials(own licence, modules []module, r release) ([]byte, error) {
	b := bill{
		Format:      "CycloneDX",
		SpecVersion: "1.6",
		Version:     1,
		Metadata: metadata{
			Timestamp: r.date.Format(time.RFC3339),
			Component: component{
				Type: "application", Ref: program, Name: program, Version: r.version,
				Licences: []expression{{own.id}},
			},
		},
	}
	for _, m := range modules {
		url := "pkg:golang/" + m.path + "@" + m.version
		b.Components = append(b.Components, component{
			Type: "library", Ref: url, Name: m.path, Version: m.version, PURL: url,
			Licences: []expression{{m.licence.id}},
		})
	}
	return json.MarshalIndent(b, "", "  ")
}
