package graph

// DeviceConfig names a set of devices that a model was laid out for
// (DeviceConfigurationProto, IR 11).
type DeviceConfig struct {
	Name       string
	NumDevices int32
	Devices    []string
	Wire
}

// NodeDevice says how a node is laid out over the devices of a DeviceConfig
// (NodeDeviceConfigurationProto). ftk keeps it and does not use it.
type NodeDevice struct {
	Configuration string
	Sharding      []ShardingSpec
	PipelineStage int32
	Wire
}

// ShardingSpec says how one tensor is spread over devices (ShardingSpecProto).
type ShardingSpec struct {
	Tensor string
	Device []int64
	Groups []DeviceGroup // index_to_device_group_map
	Dims   []ShardedDim
	Wire
}

// DeviceGroup maps an index in ShardingSpec.Device to devices
// (IntIntListEntryProto).
type DeviceGroup struct {
	Key   int64
	Value []int64
	Wire
}

// ShardedDim says how one axis is spread (ShardedDimProto).
type ShardedDim struct {
	Axis   int64
	Simple []SimpleSharding
	Wire
}

// SimpleSharding is one part of an axis (SimpleShardedDimProto).
type SimpleSharding struct {
	Dim       Dim // Denotation is not used
	NumShards int64
	Wire
}
