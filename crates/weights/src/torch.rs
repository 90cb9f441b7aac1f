//! The few functions that pickles of PyTorch call, done by hand.

use std::sync::Arc;

use crate::DType;
use crate::error::Fault;
use crate::pickle::{Id, Machine, Node, StorageRef};
use crate::tensor::Layout;

/// Wrappers of tensors within wrappers; PyTorch writes one.
const MAX_WRAPPERS: usize = 8;

/// What a pickle gets for calling `callable` with a tuple of arguments.
pub(crate) fn call(machine: &mut Machine, callable: Id, arguments: Id) -> Result<Id, Fault> {
    let (mut callable, mut arguments) = (callable, arguments);
    for _ in 0..MAX_WRAPPERS {
        let Node::Global(name) = machine.nodes.get(callable) else { break };
        let name = name.clone();
        let items = machine.nodes.tuple(arguments, "a call's arguments")?;
        match (&*name, items) {
            ("torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor", items) => {
                let Some(&[storage, offset, shape, strides]) = items.first_chunk() else {
                    return Fault::damaged("a tensor lacks its shape");
                };
                let &Node::Storage(storage) = machine.nodes.get(storage) else { break };
                return tensor(machine, storage, offset, shape, strides);
            }
            (
                "torch._utils._rebuild_parameter"
                | "torch._utils._rebuild_parameter_with_state"
                // A copy of its argument, of which the original will do.
                | "torch.Size"
                | "builtins.set"
                | "builtins.frozenset"
                | "builtins.list"
                | "__builtin__.set"
                | "__builtin__.frozenset"
                | "torch.jit._pickle.build_intlist"
                | "torch.jit._pickle.build_doublelist"
                | "torch.jit._pickle.build_boollist"
                | "torch.jit._pickle.build_tensorlist"
                | "torch.jit._pickle.restore_type_tag",
                &[value, ..],
            ) => return Ok(value),
            // A tensor of a subclass: function, class, arguments, attributes.
            ("torch._tensor._rebuild_from_type_v2", &[function, _, inner, ..]) => {
                (callable, arguments) = (function, inner);
            }
            ("collections.OrderedDict" | "builtins.dict" | "__builtin__.dict", items) => {
                let list = items.first().copied();
                return dictionary(machine, list);
            }
            ("collections.defaultdict", _) => return dictionary(machine, None),
            ("builtins.set" | "builtins.frozenset" | "builtins.list" | "__builtin__.set", []) => {
                return machine.nodes.add(Node::List(vec![]));
            }
            ("_codecs.encode", &[text, _]) => {
                let bytes = latin1(machine.nodes.text(text, "an encoded text")?)?;
                machine.spend(bytes.len())?;
                return machine.nodes.add(Node::Bytes(bytes));
            }
            (
                "numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar",
                &[dtype, bytes],
            ) => {
                return match numpy_scalar(machine, dtype, bytes) {
                    Some(number) => machine.nodes.add(number),
                    None => machine.opaque(callable, arguments),
                };
            }
            _ => break,
        }
    }
    machine.opaque(callable, arguments)
}

/// The storage that a persistent id names: `("storage", class, key, device, elements)`.
pub(crate) fn storage(machine: &mut Machine, id: Id) -> Result<Node, Fault> {
    let items = machine.nodes.tuple(id, "a storage's name")?.to_vec();
    let kind = match items.first() {
        Some(&kind) => machine.nodes.text(kind, "a storage's kind")?,
        None => return Fault::damaged("a storage has no name"),
    };
    // Old files of whole modules carry source code along, for messages only.
    if &**kind == "module" {
        return match items.get(1).map(|&class| machine.nodes.get(class)) {
            Some(Node::Global(class)) => Ok(Node::Global(class.clone())),
            _ => Fault::damaged("a module has no class"),
        };
    }
    let &[_, class, key, _, elements, ref view @ ..] = &items[..] else {
        return Fault::damaged("a storage has no size");
    };
    if view.iter().any(|&id| !matches!(machine.nodes.get(id), Node::None)) {
        return Fault::refused("it holds parts of storages, as before PyTorch 0.4");
    }
    let Node::Global(class) = machine.nodes.get(class) else {
        return Fault::damaged("a storage has no class");
    };
    let Some(dtype) = DType::of_storage(class.rsplit('.').next().unwrap_or(class)) else {
        // Only a fault if it turns out to be a weight's.
        return Ok(Node::Global(class.clone()));
    };
    let key: Arc<str> = match machine.nodes.get(key) {
        Node::Str(key) => key.clone(),
        Node::Int(key) => key.to_string().into(),
        _ => return Fault::damaged("a storage has no key"),
    };
    let elements = machine.nodes.size(elements, "a storage's size")?;
    if let Some(&index) = machine.storage_of_key.get(&key) {
        let known = &machine.storages[index];
        if known.dtype != dtype || known.elements != elements {
            return Fault::refused(format!("it gives storage `{key}` two types or sizes"));
        }
        return Ok(Node::Storage(index));
    }
    let index = machine.storages.len();
    machine.storage_of_key.insert(key.clone(), index);
    machine.storages.push(StorageRef { key, dtype, elements });
    Ok(Node::Storage(index))
}

fn tensor(
    machine: &mut Machine,
    storage: usize,
    offset: Id,
    shape: Id,
    strides: Id,
) -> Result<Id, Fault> {
    let nodes = &machine.nodes;
    let sizes = |id, what| -> Result<Vec<usize>, Fault> {
        let items = match nodes.get(id) {
            Node::Tuple(items) | Node::List(items) if items.len() <= crate::tensor::MAX_DIMS => {
                items
            }
            _ => return Fault::damaged(format!("a tensor's {what} is none")),
        };
        items.iter().map(|&id| nodes.size(id, what)).collect()
    };
    let reference = &machine.storages[storage];
    let layout = Layout {
        storage,
        dtype: reference.dtype,
        offset: nodes.size(offset, "a tensor's offset")?,
        shape: sizes(shape, "shape")?,
        strides: sizes(strides, "stride")?,
    };
    layout.check(reference.elements)?;
    machine.nodes.add(Node::Tensor(Box::new(layout)))
}

/// A dictionary of a list of pairs.
fn dictionary(machine: &mut Machine, list: Option<Id>) -> Result<Id, Fault> {
    let nodes = &machine.nodes;
    let pairs = match list.map(|id| nodes.get(id)) {
        None => vec![],
        Some(Node::List(items) | Node::Tuple(items)) => {
            let pair = |&id: &Id| match nodes.get(id) {
                Node::List(pair) | Node::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
                _ => Fault::damaged("an entry of a dictionary is no pair"),
            };
            let count = items.len();
            let pairs = items.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
            machine.spend(count)?;
            pairs
        }
        Some(Node::Dict(pairs)) => {
            let pairs = pairs.clone();
            machine.spend(pairs.len())?;
            pairs
        }
        Some(_) => return Fault::damaged("a dictionary is made of something else"),
    };
    machine.nodes.add(Node::Dict(pairs))
}

/// The bytes that Python's protocol 2 writes as text.
fn latin1(text: &str) -> Result<Arc<[u8]>, Fault> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(c as u32)).collect();
    bytes.map(Arc::from).or_else(|_| Fault::damaged("encoded bytes are none"))
}

/// A number that numpy pickled: a type such as `f8` and its bytes.
fn numpy_scalar(machine: &Machine, dtype: Id, bytes: Id) -> Option<Node> {
    let nodes = &machine.nodes;
    let (Node::Object(dtype), Node::Bytes(bytes)) = (nodes.get(dtype), nodes.get(bytes)) else {
        return None;
    };
    if &*dtype.class != "numpy.dtype" {
        return None;
    }
    // The state says the byte order: (version, order, …).
    if let Some(Node::Tuple(state)) = dtype.state.map(|id| nodes.get(id))
        && let Some(Node::Str(order)) = state.get(1).map(|&id| nodes.get(id))
        && &**order == ">"
    {
        return None;
    }
    let code = nodes.tuple(dtype.arguments, "").ok()?.first()?;
    let Node::Str(code) = nodes.get(*code) else { return None };
    Some(match (&**code, &**bytes) {
        ("f8", b) => Node::Float(f64::from_le_bytes(b.try_into().ok()?)),
        ("f4", b) => Node::Float(f32::from_le_bytes(b.try_into().ok()?).into()),
        ("i8", b) => Node::Int(i64::from_le_bytes(b.try_into().ok()?)),
        ("i4", b) => Node::Int(i32::from_le_bytes(b.try_into().ok()?).into()),
        ("b1", &[b]) => Node::Bool(b != 0),
        _ => return None,
    })
}
