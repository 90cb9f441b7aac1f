//! Plain values that files carry beside tensors.

use std::sync::Arc;

use crate::DType;

/// A plain value of a checkpoint: settings, vocabularies, counters.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Bytes(Arc<[u8]>),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// Pairs in the file's order. Keys are values, because 1 and "1" are different keys.
    Dict(Vec<(Value, Value)>),
    /// An object of some class, of which nothing but the attributes is known.
    Object {
        class: Arc<str>,
        fields: Vec<(Value, Value)>,
    },
    /// A tensor that is none of the weights, such as an optimizer's.
    Tensor {
        dtype: DType,
        shape: Vec<usize>,
    },
    /// Something that isn't kept: the name of its class, or why.
    Opaque(Arc<str>),
}

impl Value {
    /// The entry of a dictionary, or the attribute of an object, with this name.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries().iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The pairs of a dictionary or object, none for anything else.
    pub fn entries(&self) -> &[(Value, Value)] {
        match self {
            Self::Dict(pairs) | Self::Object { fields: pairs, .. } => pairs,
            _ => &[],
        }
    }

    /// The elements of a list, tuple or set, none for anything else.
    pub fn items(&self) -> &[Value] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if this is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole or not, if this is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }
}
