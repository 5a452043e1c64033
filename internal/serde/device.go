package serde

import (
	"github.com/ftk-go/ftk/internal/graph"
	"github.com/ftk-go/ftk/internal/onnxpb"
)

func readDeviceConfig(p *onnxpb.DeviceConfiguration) *graph.DeviceConfig {
	c := &graph.DeviceConfig{Devices: p.Device}
	c.Name = read(&c.Wire, 1, p.Name)
	c.NumDevices = read(&c.Wire, 2, p.NumDevices)
	readUnknown(&c.Wire, p)
	return c
}

func writeDeviceConfig(c *graph.DeviceConfig) *onnxpb.DeviceConfiguration {
	return withUnknown(&c.Wire, &onnxpb.DeviceConfiguration{
		Name:       write(&c.Wire, 1, c.Name),
		NumDevices: write(&c.Wire, 2, c.NumDevices),
		Device:     c.Devices,
	})
}

func readNodeDevice(p *onnxpb.NodeDeviceConfiguration) *graph.NodeDevice {
	c := &graph.NodeDevice{Sharding: each(p.ShardingSpec, readShardingSpec)}
	c.Configuration = read(&c.Wire, 1, p.ConfigurationId)
	c.PipelineStage = read(&c.Wire, 3, p.PipelineStage)
	readUnknown(&c.Wire, p)
	return c
}

func writeNodeDevice(c *graph.NodeDevice) *onnxpb.NodeDeviceConfiguration {
	return withUnknown(&c.Wire, &onnxpb.NodeDeviceConfiguration{
		ConfigurationId: write(&c.Wire, 1, c.Configuration),
		ShardingSpec:    each(c.Sharding, writeShardingSpec),
		PipelineStage:   write(&c.Wire, 3, c.PipelineStage),
	})
}

func readShardingSpec(p *onnxpb.ShardingSpec) graph.ShardingSpec {
	s := graph.ShardingSpec{
		Device: p.Device,
		Groups: each(p.IndexToDeviceGroupMap, readDeviceGroup),
		Dims:   each(p.ShardedDim, readShardedDim),
	}
	s.Tensor = read(&s.Wire, 1, p.TensorName)
	readUnknown(&s.Wire, p)
	return s
}

func writeShardingSpec(s graph.ShardingSpec) *onnxpb.ShardingSpec {
	return withUnknown(&s.Wire, &onnxpb.ShardingSpec{
		TensorName:            write(&s.Wire, 1, s.Tensor),
		Device:                s.Device,
		IndexToDeviceGroupMap: each(s.Groups, writeDeviceGroup),
		ShardedDim:            each(s.Dims, writeShardedDim),
	})
}

func readDeviceGroup(p *onnxpb.IntIntListEntry) graph.DeviceGroup {
	g := graph.DeviceGroup{Value: p.Value}
	g.Key = read(&g.Wire, 1, p.Key)
	readUnknown(&g.Wire, p)
	return g
}

func writeDeviceGroup(g graph.DeviceGroup) *onnxpb.IntIntListEntry {
	return withUnknown(&g.Wire, &onnxpb.IntIntListEntry{Key: write(&g.Wire, 1, g.Key), Value: g.Value})
}

func readShardedDim(p *onnxpb.ShardedDim) graph.ShardedDim {
	d := graph.ShardedDim{Simple: each(p.SimpleSharding, readSimpleSharding)}
	d.Axis = read(&d.Wire, 1, p.Axis)
	readUnknown(&d.Wire, p)
	return d
}

func writeShardedDim(d graph.ShardedDim) *onnxpb.ShardedDim {
	return withUnknown(&d.Wire, &onnxpb.ShardedDim{
		Axis:           write(&d.Wire, 1, d.Axis),
		SimpleSharding: each(d.Simple, writeSimpleSharding),
	})
}

func readSimpleSharding(p *onnxpb.SimpleShardedDim) graph.SimpleSharding {
	s := graph.SimpleSharding{Dim: graph.Dim{Size: -1}}
	switch v := p.Dim.(type) {
	case *onnxpb.SimpleShardedDim_DimValue:
		readDimValue(&s.Dim, v.DimValue)
	case *onnxpb.SimpleShardedDim_DimParam:
		readDimParam(&s.Dim, v.DimParam)
	}
	s.NumShards = read(&s.Wire, 3, p.NumShards)
	readUnknown(&s.Wire, p)
	return s
}

func writeSimpleSharding(s graph.SimpleSharding) *onnxpb.SimpleShardedDim {
	p := &onnxpb.SimpleShardedDim{NumShards: write(&s.Wire, 3, s.NumShards)}
	switch dimField(s.Dim) {
	case dimValue:
		p.Dim = &onnxpb.SimpleShardedDim_DimValue{DimValue: s.Dim.Size}
	case dimParam:
		p.Dim = &onnxpb.SimpleShardedDim_DimParam{DimParam: s.Dim.Name}
	}
	return withUnknown(&s.Wire, p)
}
