//! Building the lists of strings that execve(2) takes.

use crate::sys::child::{Block, HEAD, Strings, WORD};
use std::ffi::{CStr, CString};

impl Strings {
    /// One list of these strings.
    pub fn new(owned: Vec<CString>) -> Strings {
        let mut list: Vec<_> = owned.iter().map(|text| text.as_ptr()).collect();
        list.push(std::ptr::null());
        Strings { _owned: owned, lists: vec![list] }
    }

    /// One list for each variant: the strings in `owned`, with the one at `index` replaced by the variant.
    pub fn with_variants(owned: Vec<CString>, index: usize, variants: Vec<CString>) -> Strings {
        let Strings { _owned: mut owned, lists } = Strings::new(owned);
        let base = lists.into_iter().next().unwrap_or_default();
        let variant = |text: &CString| {
            let mut list = base.clone();
            if let Some(place) = list.get_mut(index).filter(|place| !place.is_null()) {
                *place = text.as_ptr();
            }
            list
        };
        let lists = variants.iter().map(variant).collect();
        owned.extend(variants);
        Strings { _owned: owned, lists }
    }
}

impl Block {
    /// The content of the file for these strings.
    pub fn content(paths: &[&CStr], args: &[&CStr], env: &[&CStr], dir: &CStr) -> Vec<u8> {
        let lists = [paths, args, env, &[dir]];
        let words = HEAD + lists.iter().map(|list| list.len() + 1).sum::<usize>();
        let (mut head, mut strings) = (Vec::new(), Vec::new());
        head.extend(lists[..HEAD].iter().map(|list| list.len() as u64));
        for list in lists {
            for text in list {
                head.push((words * WORD + strings.len()) as u64);
                strings.extend_from_slice(text.to_bytes_with_nul());
            }
            head.push(0);
        }
        head.into_iter().flat_map(u64::to_ne_bytes).chain(strings).collect()
    }
}
