// Package main is the runtime of Dagger modules in Python: it makes the container that a module's functions run in.
//
// It stands in for the one inside Dagger's engine image, and does the same for a module with pyproject.toml and
// requirements.lock. What differs: dagger-io comes from PyPI and is not copied into the module, so there is nothing to
// generate, and the lock is installed as it is, in a step that a change of the module's own source does not repeat.
package main

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"dagger/python-sdk/internal/dagger"

	"github.com/pelletier/go-toml/v2"
)

const (
	projectFile  = "pyproject.toml"
	versionFile  = ".python-version"
	lockFile     = "requirements.lock"
	defaultImage = "python:3.13-slim"

	runtimePath = "/runtime"
	runtimeFile = `#!/usr/bin/env python
import sys

from dagger.mod.cli import app

sys.exit(app())
`
)

// PythonSdk is what the engine calls for a module whose dagger.json names the SDK "python".
type PythonSdk struct {
	// +private
	Source *dagger.Directory
}

// New takes the SDK's own files: dist/uv and requirements.txt, beside this module's folder.
func New(
	// +defaultPath=".."
	sdkSourceDir *dagger.Directory,
) *PythonSdk {
	return &PythonSdk{Source: sdkSourceDir}
}

// project is the part of pyproject.toml that matters here.
type project struct {
	Project struct {
		Name           string `toml:"name"`
		RequiresPython string `toml:"requires-python"`
	} `toml:"project"`
	Tool struct {
		Dagger struct {
			BaseImage string `toml:"base-image"`
		} `toml:"dagger"`
	} `toml:"tool"`
}

// Codegen returns the module's files as they are.
func (sdk *PythonSdk) Codegen(modSource *dagger.ModuleSource, introspectionJSON *dagger.File) *dagger.GeneratedCode {
	return dag.GeneratedCode(modSource.ContextDirectory())
}

// ModuleRuntime returns the container whose entrypoint registers a module's functions, and calls them.
func (sdk *PythonSdk) ModuleRuntime(
	ctx context.Context,
	modSource *dagger.ModuleSource,
	introspectionJSON *dagger.File,
) (*dagger.Container, error) {
	name, err := modSource.ModuleOriginalName(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := modSource.SourceSubpath(ctx)
	if err != nil {
		return nil, err
	}
	// uv keeps what it built by the source's path, so each module gets a path of its own.
	digest, err := modSource.Digest(ctx)
	if err != nil {
		return nil, err
	}
	files, err := read(ctx, modSource.ContextDirectory().Directory(folder))
	if err != nil {
		return nil, err
	}
	var config project
	if err := toml.Unmarshal([]byte(files[projectFile]), &config); err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(folder, projectFile), err)
	}
	if config.Project.Name == "" {
		config.Project.Name = name
	}

	install := []string{"uv", "pip", "install", "--requirement", "/sdk/requirements.txt"}
	module := []string{"uv", "pip", "install", "--editable", "."}
	container := sdk.base(baseImage(config, files[versionFile]))
	if lock, ok := files[lockFile]; ok {
		container = container.WithMountedFile("/sdk/"+lockFile, dag.File(lockFile, lock))
		install = append(install, "--no-deps", "--requirement", "/sdk/"+lockFile)
		module = append(module, "--no-deps")
	}
	root := path.Join("/src", digest)
	return container.
		WithExec(append(install, "--compile-bytecode")).
		WithoutMount("/sdk/"+lockFile).
		WithMountedDirectory(root, modSource.ContextDirectory()).
		WithWorkdir(path.Join(root, folder)).
		WithEnvVariable("DAGGER_MODULE", name).
		WithEnvVariable("DAGGER_DEFAULT_PYTHON_PACKAGE", packageName(config.Project.Name)).
		WithEnvVariable("DAGGER_MAIN_OBJECT", objectName(name)).
		WithExec(module).
		WithExec([]string{"uv", "pip", "check"}).
		WithEntrypoint([]string{runtimePath}), nil
}

// base is Python with uv, the same for all modules that ask for the same image.
func (sdk *PythonSdk) base(image string) *dagger.Container {
	return dag.Container().
		From(image).
		WithEnvVariable("DAGGER_BASE_IMAGE", image).
		WithEnvVariable("PYTHONUNBUFFERED", "1").
		WithEnvVariable("PIP_DISABLE_PIP_VERSION_CHECK", "1").
		WithEnvVariable("PIP_ROOT_USER_ACTION", "ignore").
		WithEnvVariable("UV_SYSTEM_PYTHON", "1").
		WithEnvVariable("UV_LINK_MODE", "copy").
		WithEnvVariable("UV_SYSTEM_CERTS", "1").
		WithEnvVariable("UV_PROJECT_ENVIRONMENT", "/opt/venv").
		WithNewFile(runtimePath, runtimeFile, dagger.ContainerWithNewFileOpts{Permissions: 0o755}).
		WithMountedFile("/usr/local/bin/uv", sdk.Source.File("dist/uv")).
		WithMountedFile("/sdk/requirements.txt", sdk.Source.File("requirements.txt")).
		WithMountedCache("/root/.cache/uv", dag.CacheVolume("modpython-uv"))
}

// read returns the text of the files of a module that say how it is installed.
func read(ctx context.Context, source *dagger.Directory) (map[string]string, error) {
	entries, err := source.Entries(ctx)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, entry := range entries {
		if entry == projectFile || entry == versionFile || entry == lockFile {
			if files[entry], err = source.File(entry).Contents(ctx); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// baseImage is the image that a module asks for, or else that of the Python version that it asks for.
func baseImage(config project, pinned string) string {
	if config.Tool.Dagger.BaseImage != "" {
		return config.Tool.Dagger.BaseImage
	}
	version := strings.TrimSpace(pinned)
	required := strings.TrimSpace(config.Project.RequiresPython)
	if version == "" && (strings.HasPrefix(required, ">=") || strings.HasPrefix(required, "==")) {
		version = strings.TrimSpace(required[2:])
	}
	if version == "" {
		return defaultImage
	}
	return "python:" + version + "-slim"
}

var separators = regexp.MustCompile(`[-_. ]+`)

// packageName is a project's name as one imports it: "my-module" is my_module.
func packageName(project string) string {
	return strings.ToLower(separators.ReplaceAllString(project, "_"))
}

// objectName is a module's name as its main class has it: "my-module" is MyModule.
func objectName(module string) string {
	name := ""
	for _, word := range separators.Split(module, -1) {
		if word != "" {
			name += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return name
}
