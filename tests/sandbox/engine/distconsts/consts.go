// Package distconsts says where the parts of a Dagger engine live.
//
// It stands in for the package of the same path in dagger, which no module
// proxy serves: only names and paths, written for this sandbox.
package distconsts

// Places inside the engine's root file system.
const (
	RuncPath                         = "/usr/local/bin/runc"
	DaggerInitPath                   = "/usr/local/bin/dagger-init"
	EngineDefaultStateDir            = "/var/lib/dagger"
	EngineContainerBuiltinContentDir = "/usr/local/share/dagger/content"
	EngineCustomCACertsDir           = "/usr/local/share/ca-certificates"
	DefaultEngineSockAddr            = "unix:///run/dagger/engine.sock"
	EngineContainerName              = "dagger-engine.dev"
)

// Environment variables that name the built-in SDKs by manifest digest.
const (
	GoSDKManifestDigestEnvName         = "DAGGER_GO_SDK_MANIFEST_DIGEST"
	PythonSDKManifestDigestEnvName     = "DAGGER_PYTHON_SDK_MANIFEST_DIGEST"
	TypescriptSDKManifestDigestEnvName = "DAGGER_TYPESCRIPT_SDK_MANIFEST_DIGEST"
)

// OCIVersionAnnotation is the annotation that holds an image's version.
const OCIVersionAnnotation = "org.opencontainers.image.version"

// Images that the engine names but that nothing here pulls.
const (
	AlpineVersion  = "3.22.1"
	AlpineImage    = "alpine:" + AlpineVersion
	GolangVersion  = "1.26.1"
	GolangImage    = "golang:" + GolangVersion + "-alpine"
	BusyboxVersion = "1.37.0"
	BusyboxImage   = "busybox:" + BusyboxVersion
)
