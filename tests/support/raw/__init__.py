"""Raw datasets on disk, small, written from their documentation.

A module holds the writers of one or several datasets; its `FIXTURES` says how to curate each:
{dataset: (writer of its raw files into a folder, options of `depthlm curate`)}.
"""
