// Gen writes the Go code of a .proto file beside it. It does what protoc with
// protoc-gen-go does, needing neither: the schema is compiled by protocompile.
package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	gengo "google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// registered is the directory that the file's name has in the registry of
// protobuf files of a program, where names must be unique.
const registered = "ftk/onnxpb"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen FILE.proto")
		os.Exit(2)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(file string) error {
	name := path.Join(registered, filepath.Base(file))
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{
		Resolver: &protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(map[string]string{name: string(source)}),
		},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), name)
	if err != nil {
		return err
	}
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{name},
		Parameter:      proto.String("paths=source_relative"),
		ProtoFile:      descriptors(files),
	})
	if err != nil {
		return err
	}
	for _, f := range plugin.Files {
		if f.Generate {
			gengo.GenerateFile(plugin, f)
		}
	}
	response := plugin.Response()
	if response.Error != nil {
		return fmt.Errorf("%s", *response.Error)
	}
	for _, out := range response.File {
		to := filepath.Join(filepath.Dir(file), filepath.Base(out.GetName()))
		if err := os.WriteFile(to, []byte(out.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func descriptors(files linker.Files) []*descriptorpb.FileDescriptorProto {
	var protos []*descriptorpb.FileDescriptorProto
	for _, f := range files {
		protos = append(protos, protoutil.ProtoFromFileDescriptor(f))
	}
	return protos
}
